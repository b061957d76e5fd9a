// Records what passes between a plugin and its service on the system bus, for test/support/replay.ts: PATCHBAY_LAB_RECORD=1 npm run test:lab
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Payload, Recording, Said } from '../support/replay.ts'
import type { Machine } from './machine.ts'

/** What is recorded of a service. */
export interface Source {
  readonly plugin: string
  readonly service: string
  /** The object that has GetManagedObjects. */
  readonly root: string
  /** What the plugin listens to: interfaces whose properties it keeps, and signals. */
  readonly interfaces: readonly string[]
  readonly signals: readonly string[]
  /** Calls that it may make at any time: `standing` in the recording. A script that makes them once. */
  readonly standing?: { readonly method: string; readonly script: string }
  /** Calls that do not belong to what is recorded, of those that were made. */
  readonly ignored: (calls: readonly string[]) => readonly string[]
  /** Calls of which the arguments are kept: none that carries a secret. */
  readonly withArguments: readonly string[]
  readonly version: string
}

/** A message, as `busctl monitor --json=short` has it. */
interface Line {
  readonly type: 'method_call' | 'method_return' | 'error' | 'signal'
  readonly cookie: number
  readonly reply_cookie?: number
  readonly sender: string
  readonly destination?: string
  readonly path: string
  readonly interface: string
  readonly member: string
  readonly error_name?: string
  readonly payload?: Payload
}

/** Does the work, and writes down what passed meanwhile if recording is asked for; `about` is what else the recording tells. */
export async function recorded<T>(
  machine: Machine,
  source: Source,
  name: string,
  work: () => Promise<T>,
  about: (result: T) => object,
): Promise<T> {
  if (!process.env['PATCHBAY_LAB_RECORD']) return work()
  const { plugin, service, root, standing = { script: ':' } } = source
  const begun = await machine.run(
    `set -e
    systemd-run --quiet --unit=record --property=StandardOutput=file:/run/record.json busctl monitor --json=short ${service}
    until [ -s /run/record.json ]; do busctl call ${service} ${root} org.freedesktop.DBus.Peer Ping; sleep 0.5; done
    { ${standing.script}; busctl call ${service} ${root} org.freedesktop.DBus.ObjectManager GetManagedObjects; } >/dev/null
    busctl --no-legend list | awk -v pid="$(systemctl show -P MainPID patchbay)" '$2 == pid && $1 ~ /^:/ { print $1; exit }'
    ${source.version}`,
  )
  const [own = '', version = ''] = begun.output.trim().split('\n').slice(-2)
  if (begun.code !== 0 || !own.startsWith(':')) throw new Error(`${name} is not recorded: ${begun.output}`)
  const result = await work()
  const { output } = await machine.run('sleep 5; systemctl stop record; cat /run/record.json; rm /run/record.json')
  const lines = output.split('\n').flatMap((line): Line[] => (line.startsWith('{') ? [JSON.parse(line) as Line] : []))
  const of = `${service} ${version.trim()}, Debian 13, test/lab/${plugin}.test.ts, ${new Date().toISOString().slice(0, 10)}`
  // a message a line
  const { exchange, ...rest } = reduce(source, own, lines)
  const text = JSON.stringify({ of, ...about(result), ...rest, exchange: [] }).replace(/\[\]\}$/, '')
  const messages = exchange.map((said) => JSON.stringify(said)).join(',\n')
  const directory = join(import.meta.dirname, '../../plugins', plugin, 'test/fixtures')
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, `${name.replaceAll(' ', '-')}.json`), `${text}[\n${messages}\n]}\n`)
  return result
}

/** `plugin` is its name on the bus. */
function reduce(source: Source, plugin: string, lines: readonly Line[]): Pick<Recording, 'objects' | 'standing' | 'exchange'> {
  const replyTo = ({ sender, cookie }: Line) =>
    lines.findIndex(({ destination, reply_cookie }) => destination === sender && reply_cookie === cookie)
  const firstCall = lines.find(({ type, member }) => type === 'method_call' && member === 'GetManagedObjects') as Line
  const start = replyTo(firstCall)
  const method = source.standing?.method
  const standing: Record<string, Payload> = {}
  for (const line of lines.filter(({ type, member }) => type === 'method_call' && member === method)) {
    const { type, payload } = lines[replyTo(line)] ?? {}
    if (type === 'method_return' && payload) standing[`${method} ${line.path}`] = payload
  }
  const rest = lines.slice(start + 1)
  const made = rest.filter(({ type, sender }) => type === 'method_call' && sender === plugin).map(({ member }) => member)
  const ignored = source.ignored(made)
  const service = (lines[start] as Line).sender
  const [calls, asks] = [new Map<number, number>(), new Map<number, number>()]
  const exchange: Said[] = []
  for (const line of rest) {
    const { type, sender, destination, cookie, reply_cookie = 0, path, interface: iface, member, payload } = line
    const [of, to] = [calls.get(reply_cookie), asks.get(reply_cookie)]
    const answer = () =>
      type === 'error'
        ? { error: line.error_name ?? '', message: String(payload?.data[0] ?? '') }
        : { payload: payload?.type ? payload : null }
    if (type === 'method_call' && sender === plugin && !ignored.includes(member)) {
      calls.set(cookie, exchange.length)
      exchange.push({ call: member, path, ...(source.withArguments.includes(member) && { args: plain(payload?.data) }) })
    } else if (type === 'method_call' && sender === service && destination === plugin) {
      asks.set(cookie, exchange.length)
      exchange.push({ ask: `${iface}.${member}`, path, payload: payload?.type ? payload : { type: '', data: [] } })
    } else if (type === 'signal' && isOfUse(source, line)) {
      exchange.push({ signal: `${iface}.${member}`, path, payload: payload as Payload })
    } else if (destination === plugin && sender === service && of !== undefined) exchange.push({ of, ...answer() })
    else if (sender === plugin && destination === service && to !== undefined) exchange.push({ to, ...answer() })
  }
  const { type, data } = (lines[start] as Line).payload as Payload
  const objects = Object.entries(data[0] as Record<string, object>).flatMap(([path, has]) => {
    const kept = Object.entries(has).filter(([iface]) => source.interfaces.includes(iface))
    return kept.length > 0 ? [[path, Object.fromEntries(kept)] as const] : []
  })
  return { objects: { type, data: [Object.fromEntries(objects)] }, standing, exchange }
}

function isOfUse({ interfaces, signals }: Source, { interface: iface, member, payload }: Line): boolean {
  if (iface === 'org.freedesktop.DBus.Properties') return interfaces.includes(String(payload?.data[0]))
  return iface === 'org.freedesktop.DBus.ObjectManager' || signals.includes(`${iface}.${member}`)
}

/** Values as they come to a plugin: variants without their types. */
const plain = (data: readonly unknown[] = []) =>
  data.map((value) => (typeof value === 'object' && value !== null && 'data' in value ? value.data : value))
