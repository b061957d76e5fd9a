// The bluetooth plugin on real drivers: bluetoothd over two controllers that hear each other. The daemon is the installed service, as its
// own user, with hci0; the other device is hci1, in the hands of bluetoothctl. One machine; the tests follow one another, each in the
// state that the one before has left.
import t from 'tap'
import { type Answer, LabClient } from './client.ts'
import { bootMachine } from './machine.ts'
import { installPatchbay } from './patchbay.ts'
import { recorded, type Source } from './record.ts'

interface Device {
  readonly mac: string
  readonly rssi: number | null
  readonly paired: boolean
  readonly connected: boolean
  readonly trusted: boolean
  readonly blocked: boolean
}
interface Status {
  readonly powered: boolean
  readonly discovering: boolean
  readonly blocked: string
  readonly adapter: { readonly mac: string }
}
interface Plugin {
  readonly id: string
  readonly state: string
  readonly reason?: string
}
interface Question {
  readonly id: string
  readonly mac: string
  readonly kind: string
  readonly number?: string
}

t.setTimeout(900_000)
const [ours, other] = ['00:AA:01:00:00:00', '00:AA:01:01:00:01']
const begun = performance.now()
const elapsed = (what: string) => t.comment(`${what}: ${Math.round((performance.now() - begun) / 1000)} s`)

const machine = await bootMachine(t, { ports: [8080], hardware: true, frozen: true })
elapsed('booted')
// one user may pair five times in 30 s, so there are several
const users = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [String(1000 + index), 'owner']))
await installPatchbay(machine, users, { off: ['audio', 'camera', 'storage', 'system', 'wifi'] })
elapsed('installed')

/** The output of a script that must succeed. */
async function sh(script: string): Promise<string> {
  const { code, output } = await machine.run(script, { timeoutMs: 120_000 })
  if (code !== 0) throw new Error(`exit code ${code} of ${script}:\n${output}`)
  return output.trimEnd()
}
const source: Source = {
  plugin: 'bluetooth',
  service: 'org.bluez',
  root: '/',
  interfaces: ['org.bluez.Adapter1', 'org.bluez.Device1', 'org.bluez.Battery1'],
  signals: [],
  // the host's, which looks whether there is an adapter
  ignored: () => ['GetManagedObjects'],
  withArguments: ['Set', 'RemoveDevice'],
  version: 'bluetoothctl --version | grep -o "[0-9.]*$"',
}
/** What a command of a client's does, and all that follows from it, can be recorded. */
const record = <T>(
  name: string,
  command: string,
  payload: object,
  work: () => Promise<T>,
  more: (result: T) => object = () => ({}),
) => recorded(machine, source, name, work, (result) => ({ command, payload, outcome: 'done', ...more(result) }))

const port = machine.ports.get(8080) as number
let lastUser = 1000
/** Another user, who is asked what there is to be asked when they pair. */
const user = () => LabClient.connect(t, port, ++lastUser)
const observer = await LabClient.connect(t, port, 1000)
await observer.ask('module:subscribe', { module: 'host' })
await observer.ask('module:subscribe', { module: 'bluetooth' })
const status = (fits: (status: Status) => boolean) => observer.now<Status>('bluetooth:status', fits)
/** The other device as it is shown, as soon as that fits. */
const shows = async (fits: (device: Device) => boolean) => {
  const isIt = (device: Device) => device.mac === other && fits(device)
  return (await observer.now<Device[]>('bluetooth:devices', (all) => all.some(isIt))).find(isIt)
}
const isGone = () => observer.now<Device[]>('bluetooth:devices', (all) => !all.some(({ mac }) => mac === other))
/** How the plugin is, as soon as that is its state. */
const reaches = async (state: string) => {
  const isIt = (plugin: Plugin) => plugin.id === 'bluetooth' && plugin.state === state
  return (await observer.now<Plugin[]>('host:plugins', (plugins) => plugins.some(isIt))).find(isIt)
}

/** The other device, and a person at it: lines for bluetoothctl, and what that says since the last of them. */
const peer = {
  /** `isAsked`: also when somebody pairs with it; otherwise whoever asked BlueZ for that before is. */
  async start(isAsked = true) {
    await sh(`[ ! -e /run/peer.pid ] || kill $(cat /run/peer.pid); rm -f /run/peer /run/peer.log; mkfifo /run/peer
      setsid bluetoothctl --agent KeyboardDisplay 0<>/run/peer >>/run/peer.log 2>&1 & echo $! >/run/peer.pid
      until grep -q 'Agent registered' /run/peer.log; do sleep 0.2; done`)
    await peer.says(`select ${other}`, ...(isAsked ? ['default-agent'] : []), 'pairable on', 'discoverable on')
    await peer.hears('Changing discoverable on succeeded')
  },
  says: (...lines: string[]) => sh(`: >/run/peer.log; printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} >/run/peer`),
  /** Resolves with the line. */
  hears: (pattern: string) => sh(`until grep -m1 -E '${pattern}' /run/peer.log; do sleep 0.2; done`),
}

/** Scans until the other device is heard. */
async function scan(): Promise<Device | undefined> {
  const client = await user()
  return record('scan', 'bluetooth:scan', {}, async () => {
    t.match(await client.ask('bluetooth:scan'), { success: true })
    const found = await shows(({ rssi }) => rssi !== null)
    t.match(await client.ask('bluetooth:stop_scan'), { success: true })
    return found
  })
}

/** A new user pairs, and answers what they are asked. `there` is what is said at the other device when it shows a number. */
async function pair({ accept, there }: { accept: boolean; there: 'yes' | 'no' }) {
  const client = await user()
  await sh(': >/run/peer.log')
  const name = accept ? (there === 'yes' ? 'pair' : 'refused there') : 'declined here'
  const more = ({ outcome }: { outcome: Answer }) => ({ accept, outcome: outcome.code ?? 'done' })
  return record(name, 'bluetooth:pair', { mac: other }, () => pairing(client, accept, there), more)
}
async function pairing(client: LabClient, accept: boolean, there: 'yes' | 'no') {
  const question = client.next<Question>('bluetooth:pairing')
  const outcome = client.ask('bluetooth:pair', { mac: other })
  const asked = await Promise.race([question, outcome.then((answer) => Promise.reject(new Error(JSON.stringify(answer))))])
  const shown = await peer.hears('Confirm passkey [0-9]+')
  await peer.says(there)
  t.match(await client.ask('bluetooth:pairing_answer', { id: asked.id, accept }), { success: true })
  return { asked, shown, outcome: await outcome }
}

/** It is forgotten on both sides. */
async function unpair(): Promise<void> {
  const client = await user()
  await record('unpair', 'bluetooth:unpair', { mac: other }, async () => {
    t.match(await client.ask('bluetooth:unpair', { mac: other }), { success: true })
    await isGone()
  })
  await peer.says(`remove ${ours}`)
  await peer.hears('Device has been removed|not available')
}

await peer.start()
elapsed('the other device is there')

void t.test('the adapter is shown, and a scan finds the other device', async (t) => {
  t.match(await status(({ powered }) => powered), { adapter: { mac: ours }, discovering: false, blocked: 'none' })
  t.match(await scan(), { mac: other, paired: false, connected: false })
  await status(({ discovering }) => !discovering)
  elapsed('scanned')
})

void t.test('both devices show a number: who says yes on both sides has paired and trusted, and can undo it', async (t) => {
  const { asked, shown, outcome } = await pair({ accept: true, there: 'yes' })
  t.match(asked, { kind: 'compare', mac: other })
  t.match(shown, `passkey ${asked.number}`)
  t.match(outcome, { success: true })
  t.match(await shows(({ paired, trusted }) => paired && trusted), { blocked: false })
  await unpair()
  elapsed('paired and unpaired')
})

void t.test('who says no on either side has not paired', async (t) => {
  await scan()
  t.match((await pair({ accept: false, there: 'yes' })).outcome, { code: 'BT_DECLINED' })
  await peer.says(`remove ${ours}`)
  await scan()
  t.match((await pair({ accept: true, there: 'no' })).outcome, { code: 'BT_AUTH_FAILED' })
  await observer.now<Device[]>('bluetooth:devices', (all) => !all.some(({ paired }) => paired))
  elapsed('refused')
})

void t.test('who pairs from outside, with nobody here having asked for it, is refused', async (t) => {
  await peer.start(false)
  const client = await user()
  await record('from outside', 'bluetooth:discoverable', { on: true }, async () => {
    t.match(await client.ask('bluetooth:discoverable', { on: true }), { success: true })
    await peer.says('scan on')
    await peer.hears(`Device ${ours}`)
    await peer.says(`pair ${ours}`)
    await peer.hears('Confirm passkey')
    await peer.says('yes')
    t.match(await peer.hears('Failed to pair'), 'org.bluez.Error.AuthenticationFailed')
  })
  await sh("until journalctl -u patchbay -o cat | grep -q 'refused a device that nobody here asked for'; do sleep 0.5; done")
  await observer.now<Device[]>('bluetooth:devices', (all) => !all.some(({ paired }) => paired))
  elapsed('refused from outside')
})

void t.test('an adapter that is pulled makes it unavailable; put back, it runs again and scans', async (t) => {
  await sh('bash /host/bluetooth.sh off')
  t.match(await reaches('unavailable'), { reason: /no Bluetooth adapter/ })
  t.match(await (await user()).ask('bluetooth:scan'), { code: 'MODULE_UNAVAILABLE' })
  await sh('bash /host/bluetooth.sh')
  await reaches('running')
  await status(({ powered }) => powered)
  await peer.start()
  t.match(await scan(), { mac: other })
  elapsed('adapter gone and back')
})

void t.test('bluetoothd is restarted: it runs again, and is asked by the new one', async (t) => {
  await sh('systemctl stop bluetooth')
  await reaches('unavailable')
  await sh('systemctl start bluetooth')
  await reaches('running')
  await peer.start()
  await status(({ powered }) => powered)
  await scan()
  t.match(await pair({ accept: true, there: 'yes' }), { asked: { kind: 'compare' }, outcome: { success: true } })
  elapsed('bluetoothd restarted')
})

void t.test('rfkill blocks it: that is said, and when it is over it can be switched on', async (t) => {
  await sh('rfkill block bluetooth')
  await status(({ powered, blocked }) => !powered && blocked === 'soft')
  t.match(await (await user()).ask('bluetooth:scan'), { code: 'BT_BLOCKED_BY_RFKILL' })
  await sh('rfkill unblock bluetooth')
  const client = await user()
  await record('switched on', 'bluetooth:power', { on: true }, async () => {
    t.match(await client.ask('bluetooth:power', { on: true }), { success: true })
    await status(({ powered, blocked }) => powered && blocked === 'none')
  })
  elapsed('blocked')
})
