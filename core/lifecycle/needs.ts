import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Finding } from '../plugin/capabilities.ts'
import type { Needs, ServiceNeed } from '../plugin/contract.ts'
import type { SystemBus } from '../process/dbus.ts'
import { within } from '../process/deadline.ts'
import { searchPath, sessionDirectory } from '../process/exec.ts'
import { matches } from '../process/paths.ts'
import { watchDirectory } from '../process/watch-directory.ts'
import { checkDevice, checkSession } from './needs-files.ts'
import { checkTool } from './needs-tools.ts'

type Bus = Pick<SystemBus, 'isAvailable' | 'watchName' | 'watchObjects'>
type ObjectNeed = NonNullable<ServiceNeed['object']>

export interface Surroundings {
  readonly bus: Bus
  /** Instead of the PATH of this process. */
  readonly path?: string
  /** False: no program is started, and so no tool is asked for its version. */
  readonly mayStart?: boolean
}

/** Looks for everything that must be there before a plugin starts. Starts no program but a tool whose version the contract asks for. */
export function checkNeeds(needs: Needs, { bus, path, mayStart = true }: Surroundings): Promise<Finding[]> {
  const { tools = {}, devices = [], session } = needs
  return Promise.all([
    ...services(needs).map(([name, service]) => checkService(name, service, bus)),
    ...Object.entries(tools).map(([name, tool]) => checkTool(name, tool, { path, mayStart })),
    ...devices.map(checkDevice),
    ...(session ? [checkSession()] : []),
  ])
}

function services({ dbus = [] }: Needs): ReadonlyArray<readonly [name: string, service: ServiceNeed]> {
  // Array.isArray does not tell a readonly array from an object to the compiler.
  return Array.isArray(dbus)
    ? dbus.map((name: string) => [name, {}] as const)
    : Object.entries(dbus as Record<string, ServiceNeed>)
}

async function checkService(name: string, service: ServiceNeed, bus: Bus): Promise<Finding> {
  const { package: debianPackage, unit, optional = false, object } = service
  const finding = { kind: 'dbus', name, optional } as const
  try {
    const isThere = await bus.isAvailable(name)
    const ok = isThere && (!object || (await hasObject(name, object, bus)))
    if (ok) return { ...finding, ok, sentence: `The service ${name} is on the system bus.` }
    const lack = isThere ? `has no ${object?.name}, or does not run` : 'is not on the system bus'
    const install = debianPackage && !isThere ? [`sudo apt-get install ${debianPackage}`] : []
    const commands = [...install, ...(unit ? [`sudo systemctl enable --now ${unit}`] : [])]
    const mend = commands.length > 0 && { mend: commands.join(' && ') }
    return { ...finding, ok, sentence: `The service ${name} ${lack}.`, ...mend }
  } catch (error) {
    const sentence = `The service ${name} is out of reach. ${(error as Error).message}`
    return { ...finding, ok: false, sentence, mend: 'sudo apt-get install dbus' }
  }
}

/** Asks a service that runs, and starts none, until it is released. */
function watchObject(name: string, { root = '/', interface: wanted }: ObjectNeed, bus: Bus, onChange: (has: boolean) => void) {
  return bus.watchObjects(name, { root, interfaces: [wanted] }, ({ size }) => onChange(size > 0))
}

async function hasObject(name: string, object: ObjectNeed, bus: Bus): Promise<boolean> {
  let release = () => {}
  const asked = new Promise<boolean>((resolve) => (release = watchObject(name, object, bus, resolve)))
  return within(asked, 5000, 'It does not tell what it has.').finally(release)
}

/** Those without which the plugin does not start. */
function required(needs: Needs): Needs & { readonly dbus: Readonly<Record<string, ServiceNeed>> } {
  const essential = ([, { optional }]: readonly [string, { readonly optional?: boolean }]) => !optional
  return {
    ...needs,
    dbus: Object.fromEntries(services(needs).filter(essential)),
    tools: Object.fromEntries(Object.entries(needs.tools ?? {}).filter(essential)),
  }
}

/**
 * Tells which needs, other than optional ones, are not met: first as soon as it is known, then whenever that changes.
 * Nothing polls and nothing keeps the process alive for long: the bus tells of names, the kernel of the directories of PATH (if a
 * tool is needed), of the devices and of the user's session. However many events come, ten checks a second are made at most.
 */
export function watchNeeds(all: Needs, surroundings: Surroundings, onChange: (missing: Finding[]) => void): () => void {
  const needs = required(all)
  const { dbus, tools = {}, devices = [], session } = needs
  let told: string | undefined
  let [stale, checking, ended] = [true, false, false]

  const check = async () => {
    for (checking = true; stale; await delay(100)) {
      stale = false
      const missing = (await checkNeeds(needs, surroundings)).filter(({ ok }) => !ok)
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
  const watched = [...paths, ...devices, ...(session ? [sessionDirectory()] : [])].map(watchPath)
  const watchService = ([name, { object }]: readonly [string, ServiceNeed]) =>
    object ? watchObject(name, object, surroundings.bus, onEvent) : surroundings.bus.watchName(name, onEvent)
  const releases = [...watched, ...Object.entries(dbus).map(watchService)]
  void check()
  return () => {
    ended = true
    for (const release of releases) release()
  }
}
