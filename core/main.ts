import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Config } from './config/config.ts'
import { resolvePaths } from './config/paths.ts'
import { ConfigError } from './config/problem.ts'
import { readSecrets, secretVariables } from './config/secrets.ts'
import { Host } from './host.ts'
import { refuseInspector } from './inspector.ts'
import { captureConsole, createLog } from './log.ts'
import { StartError } from './start-error.ts'

/** sysexits.h: systemd is told not to restart after a wrong configuration. */
const exitCodes = { config: 78, crash: 70 }
const stopMs = 5000
const lateMs = 5000

export interface MainOptions {
  /** The package's root directory. */
  readonly root: string
  /** How this command line is called. */
  readonly commandName: string
  /** Whoever started the daemon and wants to know how it fares. */
  readonly service: Service
}

/** The command line and the service manager behind it, as the daemon sees them. */
export interface Service {
  /** Everything but the plugins has started. */
  ready(host: Pick<Host, 'status' | 'onStatus' | 'needsLink' | 'issueLink'>): void
  stopping(): void
}

/** Runs the daemon in this process until a signal ends it. */
export async function main({ root, commandName, service }: MainOptions): Promise<void> {
  try {
    refuseInspector()
    const dist = join(root, 'dist')
    const { configDir, dataDir } = resolvePaths(process.env, root)
    const config = await Config.open({ configDir, env: process.env })
    const secrets = await readSecrets(process.env)
    const { botToken, storeUrl, redisUrl } = secrets
    for (const variable of secretVariables) delete process.env[variable]
    const log = createLog(config.host.log.level, process.stdout, Object.values(secrets))
    captureConsole(log)
    const host = new Host({
      config,
      dataDir,
      botToken,
      storeUrl,
      redisUrl,
      log,
      builtinDir: join(dist, 'plugins'),
      apiUrl: pathToFileURL(join(dist, 'plugin.js')).href,
      child: { file: join(dist, 'child.js') },
      loginPage: readFileSync(join(dist, 'http/login.html'), 'utf8'),
      commandName,
      development: process.env.NODE_ENV === 'development',
      confinedDir: process.env.PATCHBAY_CONFINED_DIR,
    })
    handleProcess(host, log, service)
    await host.start()
    // It may have been on its way for a while: a thread of Node's opens it.
    refuseInspector()
    setTimeout(refuseInspector, lateMs).unref()
    service.ready(host)
  } catch (error) {
    if (!(error instanceof StartError || error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(error instanceof StartError ? error.exitCode : exitCodes.config)
  }
}

function handleProcess(host: Host, log: ReturnType<typeof createLog>, service: Service): void {
  let isStopping = false
  const stop = async (exitCode: number) => {
    if (isStopping) return
    isStopping = true
    service.stopping()
    process.exitCode = exitCode
    setTimeout(() => process.exit(exitCode || 1), stopMs).unref()
    await host.stop(exitCode !== 0)
    process.exit(exitCode)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      log.info({ signal }, 'is stopping')
      void stop(0)
    })
  const uncaught = (error: unknown) => {
    if (host.blame(error)) return
    log.fatal({ err: error }, 'an exception nobody caught')
    void stop(exitCodes.crash)
  }
  process.on('uncaughtException', uncaught)
  process.on('unhandledRejection', uncaught)
}
