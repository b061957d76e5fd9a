import { access, constants, readdir, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Needs } from '../plugin/contract.ts'
import type { SystemBus } from '../process/dbus.ts'
import { searchPath } from '../process/exec.ts'
import { watchDirectory } from '../process/watch-directory.ts'

/** One need of a plugin, met or not. */
export interface Finding {
  readonly kind: 'dbus' | 'tool' | 'device'
  readonly name: string
  readonly ok: boolean
  /** The plugin runs without it. */
  readonly optional: boolean
  /** For people. */
  readonly sentence: string
  /** A command to paste that mends it. */
  readonly mend?: string
}

export interface Surroundings {
  readonly bus: Pick<SystemBus, 'isAvailable' | 'watchName'>
  /** Instead of the PATH of this process. */
  readonly path?: string
}

/** Looks for everything that a contract needs. Starts no program. */
export function checkNeeds(needs: Needs, { bus, path }: Surroundings): Promise<Finding[]> {
  return Promise.all([
    ...(needs.dbus ?? []).map((name) => checkService(name, bus)),
    ...Object.entries(needs.tools ?? {}).map(([name, tool]) => checkTool(name, tool, searchPath(path))),
    ...(needs.devices ?? []).map(checkDevice),
  ])
}

async function checkService(name: string, bus: Surroundings['bus']): Promise<Finding> {
  const finding = { kind: 'dbus', name, optional: false } as const
  try {
    const ok = await bus.isAvailable(name)
    return { ...finding, ok, sentence: `The service ${name} is ${ok ? '' : 'not '}on the system bus.` }
  } catch (error) {
    const sentence = `The service ${name} is out of reach. ${(error as Error).message}`
    return { ...finding, ok: false, sentence, mend: 'sudo apt-get install dbus' }
  }
}

async function checkTool(name: string, tool: NonNullable<Needs['tools']>[string], directories: string[]): Promise<Finding> {
  const finding = { kind: 'tool', name, optional: tool.optional ?? false } as const
  for (const directory of directories) {
    const file = `${directory}/${name}`
    if (await isProgram(file)) return { ...finding, ok: true, sentence: `The program ${name} is ${file}.` }
  }
  return {
    ...finding,
    ok: false,
    sentence: `The program ${name} is not installed.`,
    mend: `sudo apt-get install ${tool.package}`,
  }
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return (await stat(file)).isFile()
  } catch {
    return false
  }
}

async function checkDevice(name: string): Promise<Finding> {
  const entries = await readdir(dirname(name)).catch(() => [])
  const ok = entries.some((entry) => matches(name, entry))
  return { kind: 'device', name, ok, optional: false, sentence: `There is ${ok ? 'a' : 'no'} device ${name}.` }
}

/** Whether an entry is what a path's last segment means; `*` is any characters. In linear time: the path is a stranger's. */
function matches(path: string, entry: string): boolean {
  let end = 0
  return `/${basename(path)}/`.split('*').every((part) => {
    const at = `/${entry}/`.indexOf(part, end)
    end = at + part.length
    return at >= 0
  })
}

/**
 * Tells which needs, other than optional ones, are not met: first as soon as it is known, then whenever that changes.
 * Nothing polls and nothing keeps the process alive for long: the bus tells of names, the kernel of the directories of PATH (if a
 * tool is needed) and of the devices. However many events come, ten checks a second are made at most.
 */
export function watchNeeds(needs: Needs, surroundings: Surroundings, onChange: (missing: Finding[]) => void): () => void {
  const { dbus = [], tools = {}, devices = [] } = needs
  let told: string | undefined
  let [stale, checking, ended] = [true, false, false]

  const check = async () => {
    for (checking = true; stale; await delay(100)) {
      stale = false
      const missing = (await checkNeeds(needs, surroundings)).filter(({ ok, optional }) => !ok && !optional)
      const news = JSON.stringify(missing)
      if (!ended && news !== told) onChange(missing)
      told = news
    }
    checking = false
  }
  const onEvent = () => {
    stale = true
    if (!checking) void check()
  }

  const paths = Object.keys(tools).flatMap((tool) => searchPath(surroundings.path).map((directory) => `${directory}/${tool}`))
  const watchPath = (path: string) =>
    watchDirectory(dirname(path), (entry) => {
      if (!entry || matches(path, entry)) onEvent()
    })
  const releases = [...[...paths, ...devices].map(watchPath), ...dbus.map((name) => surroundings.bus.watchName(name, onEvent))]
  void check()
  return () => {
    ended = true
    for (const release of releases) release()
  }
}
