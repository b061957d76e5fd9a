// Records what passes between the wifi plugin and NetworkManager, for plugins/wifi/test/replay.ts: PATCHBAY_LAB_RECORD=1 npm run test:lab
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Payload, Recording, Said } from '../../plugins/wifi/test/replay.ts'
import type { Answer } from './client.ts'
import type { Machine } from './machine.ts'

const directory = join(import.meta.dirname, '../../plugins/wifi/test/fixtures')
const nm = 'org.freedesktop.NetworkManager'
const watched = [
  '',
  '.Device',
  '.Device.Wireless',
  '.AccessPoint',
  '.Connection.Active',
  '.IP4Config',
  '.IP6Config',
  '.Settings.Connection',
]
const changes = ['CheckpointCreate', 'RequestScan']

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

/** Does the work, and writes down what passed meanwhile if recording is asked for. */
export async function recorded(
  machine: Machine,
  name: string,
  { command, payload }: Pick<Recording, 'command' | 'payload'>,
  work: () => Promise<Answer>,
): Promise<Answer> {
  if (!process.env['PATCHBAY_LAB_RECORD']) return work()
  const version = await machine.run(
    `systemd-run --quiet --unit=record --property=StandardOutput=file:/run/record.json busctl monitor --json=short ${nm}
    until [ -s /run/record.json ]; do nmcli general >/dev/null; sleep 0.5; done
    for path in $(busctl --json=short get-property ${nm} /${nm.replaceAll('.', '/')}/Settings ${nm}.Settings Connections | tr -d '[]"' | sed 's/.*data://; s/[,}]/ /g'); do
      busctl call ${nm} "$path" ${nm}.Settings.Connection GetSettings; done >/dev/null
    busctl call ${nm} /org/freedesktop org.freedesktop.DBus.ObjectManager GetManagedObjects >/dev/null
    NetworkManager --version`,
  )
  const answer = await work()
  const { output } = await machine.run('sleep 5; systemctl stop record; cat /run/record.json; rm /run/record.json')
  const lines = output.split('\n').flatMap((line): Line[] => (line.startsWith('{') ? [JSON.parse(line) as Line] : []))
  const recording: Recording = {
    of: `NetworkManager ${version.output.trim()}, Debian 13, test/lab/wifi.test.ts, ${new Date().toISOString().slice(0, 10)}`,
    command,
    payload,
    outcome: answer.code ?? 'done',
    ...reduce(lines),
  }
  await mkdir(directory, { recursive: true })
  // a message a line
  const { exchange, ...rest } = recording
  const text = JSON.stringify({ ...rest, exchange: [] }).replace(/\[\]\}$/, '')
  const messages = exchange.map((said) => JSON.stringify(said)).join(',\n')
  await writeFile(join(directory, `${name.replaceAll(' ', '-')}.json`), `${text}[\n${messages}\n]}\n`)
  return answer
}

function reduce(lines: readonly Line[]): Pick<Recording, 'objects' | 'settings' | 'exchange'> {
  const replyTo = ({ sender, cookie }: Line) =>
    lines.findIndex(({ destination, reply_cookie }) => destination === sender && reply_cookie === cookie)
  const firstCall = lines.find(({ type, member }) => type === 'method_call' && member === 'GetManagedObjects') as Line
  const start = replyTo(firstCall)
  const settings: Record<string, Payload> = {}
  for (const line of lines.filter(({ type, member }) => type === 'method_call' && member === 'GetSettings')) {
    const { type, payload } = lines[replyTo(line)] ?? {}
    if (type === 'method_return' && payload) settings[line.path] = payload
  }
  const rest = lines.slice(start + 1)
  const plugin = rest.find(({ type, member }) => type === 'method_call' && changes.includes(member))?.sender
  // a scan beside a change is the plugin's own idea, because its list has become old
  const ignored = rest.some(({ member }) => member === 'CheckpointCreate') ? ['GetSettings', 'RequestScan'] : ['GetSettings']
  const calls = new Map<number, number>()
  const exchange: Said[] = []
  for (const {
    type,
    sender,
    destination,
    cookie,
    reply_cookie = 0,
    path,
    interface: iface,
    member,
    error_name,
    payload,
  } of rest) {
    const of = calls.get(reply_cookie)
    if (type === 'method_call' && sender === plugin && !ignored.includes(member)) {
      calls.set(cookie, exchange.length)
      exchange.push({ call: member, path })
    } else if (type === 'signal' && isOfUse(iface, member, payload)) {
      exchange.push({ signal: `${iface}.${member}`, path, payload: payload as Payload })
    } else if (destination === plugin && of !== undefined) {
      if (type === 'error') exchange.push({ of, error: error_name ?? '', message: String(payload?.data[0] ?? '') })
      else exchange.push({ of, payload: payload?.type ? payload : null })
    }
  }
  const { type, data } = (lines[start] as Line).payload as Payload
  const objects = Object.entries(data[0] as Record<string, object>).flatMap(([path, has]) => {
    const kept = Object.entries(has).filter(([iface]) => watched.some((name) => iface === nm + name))
    return kept.length > 0 ? [[path, Object.fromEntries(kept)] as const] : []
  })
  return { objects: { type, data: [Object.fromEntries(objects)] }, settings, exchange }
}

/** What the plugin listens to. */
function isOfUse(iface: string, member: string, payload: Payload | undefined): boolean {
  if (iface === 'org.freedesktop.DBus.Properties') return watched.some((name) => payload?.data[0] === nm + name)
  if (iface === 'org.freedesktop.DBus.ObjectManager') return true
  return (
    (iface === `${nm}.Device` && member === 'StateChanged') || (iface === `${nm}.Settings.Connection` && member === 'Updated')
  )
}
