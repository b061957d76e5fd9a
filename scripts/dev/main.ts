// What scripts/dev.sh runs: a daemon for one plugin, and what brings changed code to it.
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { watch } from 'chokidar'
import { asksFor } from '../../core/lifecycle/grants.ts'
import type { Contract } from '../../core/plugin/contract.ts'
import { sourcesOf } from './build.ts'
import { Daemon } from './daemon.ts'

const settleMs = 40
const root = await realpath(join(import.meta.dirname, '../..'))
const dir = process.argv[2] ?? '.'
const isBuiltin = dirname(dir) === join(root, 'plugins')
const say = (text: string) => void process.stdout.write(`dev: ${text}\n`)

const home = await mkdtemp(join(tmpdir(), 'patchbay-dev-'))
const [configDir, dataDir] = [join(home, 'config'), join(home, 'data')]
await Promise.all([mkdir(configDir), mkdir(dataDir)])
const sources = await sourcesOf(dir, root, isBuiltin)
const daemon = new Daemon({
  root,
  env: {
    PATCHBAY_CONFIG_DIR: configDir,
    PATCHBAY_DATA_DIR: dataDir,
    PATCHBAY_PORT: process.env.PATCHBAY_PORT ?? '8090',
    ...(!isBuiltin && { PATCHBAY_PLUGIN_DIRS: dirname(dir) }),
    NODE_ENV: 'development',
  },
  onEnd: (code) => void end(code),
})

let configured = ''
/** Switches it on, with all that it asks for. */
async function configure(contract: Contract): Promise<void> {
  const entry = { enabled: true, ...(!isBuiltin && { grants: asksFor(contract) }) }
  const text = JSON.stringify({ plugins: { [contract.id]: entry } }, undefined, 2)
  if (text === configured) return
  configured = text
  await writeFile(join(configDir, 'plugins.json'), text, { mode: 0o600 })
}

async function load(): Promise<void> {
  const contract = await sources.build().catch((error: unknown) => say(error instanceof Error ? error.message : String(error)))
  if (!contract) return
  await configure(contract)
  if (!daemon.isStarted) {
    say(`${contract.id} runs with configuration and data in ${home}, which end with it; Ctrl-C ends it`)
    daemon.start(contract.id)
  } else if (isBuiltin) {
    say('what comes with Patchbay runs in the daemon: that is started again')
    await daemon.restart()
  }
  sources.check(say)
}

/** One after the other; changes that come meanwhile are one. */
let work = Promise.resolve()
let timer: NodeJS.Timeout | undefined
const changed = () => {
  clearTimeout(timer)
  timer = setTimeout(() => {
    work = work.then(load)
  }, settleMs)
}

const isLeftOut = (path: string) =>
  path !== dir && (/^(\.|node_modules$)/.test(basename(path)) || sources.outputs.some((output) => path === output))
const watcher = watch(dir, { ignoreInitial: true, followSymlinks: false, ignored: isLeftOut })
watcher.on('all', (_event, path) => {
  if (relative(dir, path) !== 'contract.json' || !sources.writesContract) changed()
})

let isEnding = false
async function end(code: number): Promise<void> {
  if (isEnding) return
  isEnding = true
  await daemon.stop()
  sources.close()
  await rm(home, { recursive: true, force: true })
  process.exit(code)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0))
changed()
