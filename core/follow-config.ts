import type { DependencyContainer } from 'tsyringe'
import { http, type Options } from './composition.ts'
import { changesOf } from './config/changes.ts'
import type { HostConfig } from './config/types.ts'
import { Listener } from './http/listener.ts'
import { Supervisor } from './lifecycle/supervisor.ts'
import { Connections } from './wire/connections.ts'
import { Observers } from './wire/observers.ts'

/** Applies what changes in the configuration files to the host that runs. `rediscover` looks for plugins in other directories. */
export async function followConfig(
  { config, log }: Options,
  all: DependencyContainer,
  rediscover: () => Promise<void>,
): Promise<void> {
  let { host } = config
  const known = { host, access: config.access, plugins: config.plugins }
  config.onChange((change) => {
    if (change !== 'problems') {
      all.resolve(Observers).notice({ kind: 'config', file: change, changes: changesOf(known[change], config[change]) })
      Object.assign(known, { [change]: config[change] })
    }
    if (change === 'problems') for (const { file, line, message } of config.problems) log.warn(`${file}:${line}: ${message}`)
    if (change === 'access') all.resolve(Connections).review()
    if (change === 'plugins') void all.resolve(Supervisor).reconcile()
    if (change === 'host') {
      const before = host
      host = config.host
      void applyHost(before).catch((error: unknown) => log.error({ err: error }, 'host.json could not be applied'))
    }
  })
  await config.watch()

  async function applyHost(before: HostConfig): Promise<void> {
    log.level = config.host.log.level
    const { engine } = all.resolve(http).io
    // Engine.IO copied the limit into its WebSocket server, which its types hide.
    engine.opts.maxHttpBufferSize = engine['ws'].options.maxPayload = config.host.limits.messageBytes
    const listener = all.resolve(Listener)
    await listener.listen(config.host).catch(async (error: Error) => {
      log.error({ err: error }, 'cannot listen as host.json says; staying where we were')
      await listener.listen(before)
    })
    if (JSON.stringify(before.pluginDirs) !== JSON.stringify(config.host.pluginDirs)) await rediscover()
    else await all.resolve(Supervisor).reconcile()
  }
}
