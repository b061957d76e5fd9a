import { once } from 'node:events'
import { constants } from 'node:fs'
import { chmod, mkdir, open, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join, relative } from 'node:path'
import type { DBus } from '../plugin/capabilities.ts'
import { openBusProxy } from './bus-proxy.ts'
import { nodeArguments, policy } from './confinement.ts'
import { within } from './deadline.ts'
import { type Launch, type Launched, type LaunchRequest, programArguments } from './launch.ts'
import { copyReadable } from './lay-out.ts'
import { serviceFigures } from './machine-figures.ts'
import { PluginUnit, unitName } from './plugin-unit.ts'

export interface UnitLaunchParts {
  /** Where it is laid out what each service sees: a directory for each plugin. */
  readonly directory: string
  readonly bus: Pick<DBus, 'call'>
  readonly busAddress: string
}

/** Milliseconds from the order to systemd until the process is there: a small machine that has just booted is slow. */
const comeMs = 30_000

/**
 * Starts plugins as services of systemd, each as a user of its own (scripts/service/patchbay-plugin@.service). What such a service
 * sees lies in its directory: `package`, a copy; `arguments` for Node.js, a line each; `channel`, the socket that its process
 * connects to; `bus`, if it was granted services. Nobody else reaches the directory, so whoever connects is that process.
 */
export function createUnitLaunch({ directory, bus, busAddress }: UnitLaunchParts): Launch {
  return async (request) => {
    const { id, dir, entry, grants = [] } = request
    const place = join(directory, id)
    const [copied, socket] = [join(place, 'package'), join(place, 'channel')]
    await mkdir(place, { recursive: true, mode: 0o755 })
    await chmod(place, 0o755)
    await copyReadable(dir, copied, request.digest)
    if (request.storeDir) await openStoreDirectory(request.storeDir)
    await writeArguments(place, request)
    const services = grants.filter((grant) => grant.startsWith('dbus:')).map((grant) => grant.slice('dbus:'.length))
    await rm(join(place, 'bus'), { force: true })
    const closeBus = services.length > 0 ? await openBusProxy(busAddress, join(place, 'bus'), services) : () => undefined
    const unit = new PluginUnit(bus, unitName(id, grants))
    try {
      const channel = await awaitChannel(socket, unit)
      const accounts = await unit.accounts()
      return { ...launchedOf(unit, channel, accounts, closeBus), entry: join(copied, relative(dir, entry)) }
    } catch (error) {
      closeBus()
      await unit.stop().catch(() => undefined)
      throw error
    }
  }
}

async function writeArguments(place: string, request: LaunchRequest): Promise<void> {
  const { grants = [], closed, child, storeDir } = request
  const [dir, policyFile] = [join(place, 'package'), join(place, 'policy.json')]
  const doors = { dir, grants, closed, program: child.file, scratch: '/tmp', policyFile, connects: true, storeDir }
  const args = [...(await nodeArguments(doors)), ...programArguments(request)]
  await writeFile(policyFile, await policy(dir, child.file))
  await writeFile(join(place, 'arguments'), args.map((arg) => `${arg}\n`).join(''))
  for (const file of [policyFile, join(place, 'arguments')]) await chmod(file, 0o644)
}

/**
 * Makes a store one that whoever the service runs as may write, today and another day, and the daemon may read for a backup: the directories
 * above let nobody else get there, and of all services it is in this one's sight alone. A link that the plugin left there is not followed.
 */
async function openStoreDirectory(storeDir: string): Promise<void> {
  await mkdir(storeDir, { recursive: true, mode: 0o700 })
  await chmod(storeDir, 0o777)
  for (const [name, make] of Object.entries({ 'store.db': constants.O_CREAT, 'store.db-wal': 0, 'store.db-shm': 0 })) {
    const file = await open(join(storeDir, name), constants.O_WRONLY | constants.O_NOFOLLOW | make).catch(() => undefined)
    // What a service made is not the daemon's; it has the mode of `store.db`.
    await file?.chmod(0o666).catch(() => undefined)
    await file?.close()
  }
}

/** Starts the service and waits for its process. After the first nobody can connect. */
async function awaitChannel(path: string, unit: PluginUnit): Promise<Socket> {
  await rm(path, { force: true })
  const server = createServer().listen(path)
  const settled = new AbortController()
  try {
    await once(server, 'listening')
    await chmod(path, 0o666)
    const connected = once(server, 'connection') as Promise<[Socket]>
    await unit.restart()
    const failed = unit.mustRun(settled.signal)
    failed.catch(() => undefined)
    const [channel] = await within(Promise.race([connected, failed]), comeMs, 'its service did not come in time')
    return channel
  } finally {
    settled.abort()
    server.close()
  }
}

function launchedOf(unit: PluginUnit, channel: Socket, accounts: string, closeBus: () => void): Omit<Launched, 'entry'> {
  const kill = () => {
    channel.destroy()
    void unit.stop().catch(() => undefined)
  }
  const closed = new Promise((resolve) => channel.once('close', resolve))
  const ended = closed.then(async () => {
    closeBus()
    return unit.ended().catch((error: Error) => `How it ended is not known: ${error.message}.`)
  })
  // What it writes to its standard output goes to the journal.
  return { channel, output: [], kill, ended, figures: () => serviceFigures(accounts) }
}
