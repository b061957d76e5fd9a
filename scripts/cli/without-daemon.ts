import { basename, join } from 'node:path'
import { Access } from '../../core/auth/access.ts'
import { Config } from '../../core/config/config.ts'
import { resolvePaths } from '../../core/config/paths.ts'
import { ConfigError } from '../../core/config/problem.ts'
import { Discovery } from '../../core/lifecycle/discovery.ts'
import type { Found } from '../../core/lifecycle/read-package.ts'
import type { HostFacts } from '../../core/plugin/host-control.ts'
import type { Installation } from './main.ts'

/** What lies on the disk, read as the daemon would read it. */
export interface OnDisk {
  readonly facts: HostFacts
  readonly found: readonly Found[]
  readonly isEnabled: (found: Found) => boolean
}

/** Reads configuration and plugins without a daemon. No code of a plugin runs. */
export async function readDisk({ root, commandName }: Installation): Promise<OnDisk> {
  const { configDir, dataDir } = resolvePaths(process.env, root)
  const opened = await Config.open({ configDir, env: process.env }).catch((error: unknown) => {
    if (error instanceof ConfigError) return error
    throw error
  })
  const config = opened instanceof ConfigError ? undefined : opened
  const others = [join(dataDir, 'plugins'), ...(config?.host.pluginDirs ?? [])].map((path) => ({ path, builtin: false }))
  const discovery = new Discovery({
    dirs: [{ path: join(root, 'dist/plugins'), builtin: true }, ...others],
    onChange: () => undefined, // nothing is watched
    onProblem: (sentence) => void process.stderr.write(`${sentence}\n`),
  })
  return {
    facts: {
      ...(config && { config: config.host }),
      problems: opened instanceof ConfigError ? problemsOf(opened) : [],
      configDir,
      dataDir,
      commandName,
      hasOwner: config !== undefined && new Access(config.access).hasOwner(),
    },
    found: await discovery.scan(),
    isEnabled({ id, builtin, contract }) {
      const plugins = config?.plugins.plugins ?? {}
      return (Object.hasOwn(plugins, id) ? plugins[id]?.enabled : undefined) ?? (builtin && !contract?.optIn)
    },
  }
}

/** The lines of a refused configuration, each a problem again. */
function problemsOf({ message }: ConfigError): HostFacts['problems'] {
  return message.split('\n').map((text) => {
    const [, file, line, rest] = /^(.+?):(\d+):\d+: (.*)$/.exec(text) ?? []
    if (file !== undefined) return { file: basename(file), line: Number(line), message: rest ?? '' }
    const [name = '', ...words] = text.split(': ')
    return { file: name, line: 0, message: words.join(': ') }
  })
}
