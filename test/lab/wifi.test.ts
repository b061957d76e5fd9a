// The wifi plugin on real drivers: NetworkManager and wpa_supplicant over emulated radios. The daemon is the installed service, as its own
// user. One machine; the tests follow one another, each in the state that the one before has left.
import t, { type Test } from 'tap'
import type { Network } from '../../plugins/wifi/driver/networks.ts'
import type { Status } from '../../plugins/wifi/driver/status.ts'
import { type Answer, LabClient } from './client.ts'
import { bootMachine } from './machine.ts'
import { installPatchbay } from './patchbay.ts'
import { recorded, type Source } from './record.ts'

t.setTimeout(1_800_000)
const password = 'correcthorse'
const wrong = 'wrong-horse-battery'
const begun = performance.now()
const elapsed = (what: string) => t.comment(`${what}: ${Math.round((performance.now() - begun) / 1000)} s`)

const machine = await bootMachine(t, { ports: [8080, 8081], hardware: true, frozen: true })
elapsed('booted')
// a user may change the network three times in 30 s, so there are many
const users = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [String(1000 + index), 'operator']))
await installPatchbay(machine, users, { off: ['audio', 'bluetooth', 'camera', 'storage', 'system'] })
elapsed('installed')

/** The output of a script that must succeed. */
async function sh(script: string): Promise<string> {
  const { code, output } = await machine.run(script, { timeoutMs: 400_000 })
  if (code !== 0) throw new Error(`exit code ${code} of ${script}:\n${output}`)
  return output.trimEnd()
}
const nm = 'org.freedesktop.NetworkManager'
const source: Source = {
  plugin: 'wifi',
  service: nm,
  root: '/org/freedesktop',
  interfaces: [
    '',
    '.Device',
    '.Device.Wireless',
    '.AccessPoint',
    '.Connection.Active',
    '.IP4Config',
    '.IP6Config',
    '.Settings.Connection',
  ].map((name) => nm + name),
  signals: [`${nm}.Device.StateChanged`, `${nm}.Settings.Connection.Updated`],
  standing: {
    method: 'GetSettings',
    script: `for path in $(busctl --json=short get-property ${nm} /${nm.replaceAll('.', '/')}/Settings ${nm}.Settings Connections | tr -d '[]"' | sed 's/.*data://; s/[,}]/ /g'); do
      busctl call ${nm} "$path" ${nm}.Settings.Connection GetSettings; done`,
  },
  // a scan beside a change is the plugin's own idea, because its list has become old
  ignored: (calls) => (calls.includes('CheckpointCreate') ? ['GetSettings', 'RequestScan'] : ['GetSettings']),
  withArguments: [],
  version: 'NetworkManager --version',
}
const clients: LabClient[] = []
let lastUser = 999
/** Another user, through eth0 or another port that leads in. */
async function user(port = 8080): Promise<LabClient> {
  const client = await LabClient.connect(t, machine.ports.get(port) as number, ++lastUser)
  clients.push(client)
  return client
}
/** A command of a user of its own; with a name it can be recorded. */
async function ask(command: string, payload?: object, name?: string): Promise<Answer> {
  const client = await user()
  const work = () => client.ask(command, payload)
  const about = ({ code = 'done' }: Answer) => ({ command: command.replace('wifi:', ''), payload: payload ?? {}, outcome: code })
  return name ? recorded(machine, source, name, work, about) : work()
}
const join = (ssid: string, more: object = {}, name?: string) => ask('wifi:connect', { ssid, ...more }, name)
/** What is answered when the machine, emulated and with a loaded one below it, takes longer than the plugin, or WPA, waits. */
const late = [
  'TIMEOUT',
  'WIFI_AUTH_FAILED',
  'WIFI_SUPPLICANT',
  'WIFI_NOT_FOUND',
  'WIFI_NO_DHCP',
  'WIFI_SCAN_FAILED',
  'WIFI_SERVICE_LOST',
]
/** It is answered with this code, `done` for success; what may only have been late is tried again. */
async function ends(t: Test, wanted: string, work: () => Promise<Answer>): Promise<void> {
  for (let tries = 1; ; tries++) {
    const { success, code = '', error } = await work()
    const got = success ? 'done' : code
    if (got === wanted || tries === 10 || !late.includes(got)) {
      t.equal(got, wanted, error ?? 'done')
      return
    }
    t.comment(`${got} and not ${wanted}: once more`)
  }
}
/** The answer to come of a join that is under way. What is refused at once, as no scan has shown that network yet, is tried again. */
async function underWay(ssid: string, more: object): Promise<{ readonly answer: Promise<Answer> }> {
  for (let tries = 1; ; tries++) {
    const answer = join(ssid, more)
    const connecting = observer.next<Status>('wifi:status', ({ state }) => state === 'connecting').then(() => true)
    connecting.catch(() => undefined)
    if (await Promise.race([connecting, answer.then(() => false)])) return { answer }
    if (tries === 4) throw new Error(`${ssid} is not even tried: ${JSON.stringify(await answer)}`)
    await ask('wifi:scan')
  }
}
const saved = async () =>
  (await sh('nmcli -t -f TYPE,NAME connection show | sed -n "s/^802-11-wireless://p" | sort | xargs')).split(' ')

const observer = await user()
await observer.ask('module:subscribe', { module: 'wifi' })
const status = (fits: (status: Status) => boolean) => observer.now<Status>('wifi:status', fits)
const networks = (fits: (networks: Network[]) => boolean) => observer.now<Network[]>('wifi:networks', fits)
const on = (name: string) => status(({ connected, ssid, ip }) => connected && ssid === name && ip !== undefined)

void t.test('it finds the networks in reach, and what each is', async (t) => {
  const names = ['LabCorp', 'LabNet', 'LabOpen', 'LabSafe']
  // the first scan after an access point came up can be empty
  for (let tries = 0; tries < 5; tries++) {
    await ends(t, 'done', () => ask('wifi:scan'))
    if ((await networks(() => true)).length >= names.length) break
  }
  const list = await networks((list) => names.every((name) => list.some(({ ssid }) => ssid === name)))
  t.same(list.map(({ ssid }) => ssid).sort(), names, 'and not the one that hides its name')
  const found = Object.fromEntries(list.map((network) => [network.ssid, network]))
  const common = { connected: false, saved: false }
  t.match(found.LabNet, { security: 'WPA2', channel: 6, frequency: 2437, band: '2.4 GHz', supported: true, ...common })
  t.match(found.LabOpen, { security: 'Open', channel: 11, supported: true, ...common })
  t.match(found.LabSafe, { security: 'WPA3', channel: 36, band: '5 GHz', supported: true, ...common })
  t.match(found.LabCorp, { security: 'Enterprise', supported: false, ...common })
  t.match(await status(() => true), { connected: false, device: 'wlan0', radio: true, state: 'disconnected' })
})

void t.test('what cannot be is refused', async (t) => {
  await ends(t, 'WIFI_UNSUPPORTED', () => join('LabCorp', { password }))
  await ends(t, 'WIFI_PASSWORD_REQUIRED', () => join('LabNet'))
  await ends(t, 'WIFI_NOT_FOUND', () => join('LabNowhere', {}, 'not in reach'))
})

void t.test('a wrong password is named, and leaves nothing behind', async (t) => {
  await ends(t, 'WIFI_AUTH_FAILED', () => join('LabNet', { password: wrong }, 'wrong password'))
  t.same(await saved(), [''])
  await status(({ state }) => state === 'disconnected')
})

void t.test('with the right one the network is joined and saved', async (t) => {
  await ends(t, 'done', () => join('LabNet', { password }, 'first connect'))
  t.match(await on('LabNet'), {
    ip: /^10\.77\.0\.\d+$/,
    gateway: '10.77.0.1',
    security: 'WPA2',
    frequency: 2437,
    state: 'connected',
  })
  await networks((list) => list.some(({ ssid, connected, saved }) => ssid === 'LabNet' && connected && saved))
  t.same(await saved(), ['LabNet'])
  await ends(t, 'done', () => join('LabNet'))
})

void t.test('a wrong password for another network leads back to the one before', async (t) => {
  await ends(t, 'WIFI_AUTH_FAILED', () => join('LabSafe', { password: wrong }, 'wrong password of WPA3'))
  await on('LabNet')
  t.same(await saved(), ['LabNet'])
})

void t.test('a network that gives no address is named within the deadline, and the one before comes back', async (t) => {
  await sh('kill "$(cat /run/ap-wlan2.dnsmasq.pid)"')
  await ends(t, 'WIFI_NO_DHCP', () => join('LabOpen', {}, 'no address'))
  await on('LabNet')
  await sh('ip netns exec ap-wlan2 dnsmasq --interface=wlan2 --bind-interfaces --dhcp-range=10.78.0.10,10.78.0.50,1h --port=0')
})

void t.test('an open, a hidden and a WPA3 network are joined', async (t) => {
  await ends(t, 'done', () => join('LabOpen', {}, 'from one network to another'))
  t.match(await on('LabOpen'), { gateway: '10.78.0.1', security: 'Open' })
  await ends(t, 'done', () => join('LabHidden', { password, hidden: true }, 'hidden network'))
  t.match(await on('LabHidden'), { gateway: '10.80.0.1', security: 'WPA2' })
  await ends(t, 'done', () => join('LabSafe', { password }, 'WPA3'))
  t.match(await on('LabSafe'), { gateway: '10.79.0.1', security: 'WPA3', band: '5 GHz' })
  t.same(await saved(), ['LabHidden', 'LabNet', 'LabOpen', 'LabSafe'])
})

void t.test('of two who join at once the later wins', async (t) => {
  const [first, second] = await Promise.all([user(), user()])
  const earlier = first.ask('wifi:connect', { ssid: 'LabOpen' })
  await observer.next<Status>('wifi:status', ({ state }) => state === 'connecting')
  t.same(await second.ask('wifi:connect', { ssid: 'LabNet' }), { success: true })
  t.match(await earlier, { success: false, code: 'WIFI_SUPERSEDED' })
  await on('LabNet')
})

void t.test('a network is forgotten, and left', async (t) => {
  for (const ssid of ['LabHidden', 'LabOpen', 'LabSafe']) await ends(t, 'done', () => ask('wifi:forget', { ssid }))
  await ends(t, 'WIFI_NOT_SAVED', () => ask('wifi:forget', { ssid: 'LabOpen' }))
  t.same(await saved(), ['LabNet'])
  await on('LabNet')
  await ends(t, 'done', () => ask('wifi:forget', { ssid: 'LabNet' }, 'forget'))
  await status(({ state }) => state === 'disconnected')
  t.same(await saved(), [''])
  await ends(t, 'done', () => join('LabNet', { password }))
})

void t.test('it leaves a network and stays away from it', async (t) => {
  await ends(t, 'done', () => ask('wifi:disconnect', undefined, 'disconnect'))
  await status(({ state }) => state === 'disconnected')
  await ends(t, 'done', () => join('LabNet'))
  await on('LabNet')
})

void t.test('the radio is switched off and on', async (t) => {
  await ends(t, 'done', () => ask('wifi:radio', { enabled: false }))
  await status(({ radio, connected }) => !radio && !connected)
  await ends(t, 'WIFI_RADIO_OFF', () => ask('wifi:scan'))
  await ends(t, 'done', () => ask('wifi:radio', { enabled: true }))
  // rfkill has silenced all radios of the machine, the access points' too
  await sh('for it in 1 2 3 4 5; do /host/wifi.sh off $it; done; sleep 1; for it in 1 2 3 4 5; do /host/wifi.sh on $it; done')
  await ends(t, 'done', () => join('LabNet'))
})

void t.test('an access point that is switched off is missed, and joined again when it is back', async (t) => {
  await sh('/host/wifi.sh off 1')
  await status(({ connected }) => !connected)
  await ends(t, 'WIFI_NOT_FOUND', () => join('LabNet'))
  await sh('/host/wifi.sh on 1')
  await ends(t, 'done', () => join('LabNet'))
  await on('LabNet')
})

void t.test('NetworkManager restarts: in the middle of a command and without one, and all goes on', async (t) => {
  // it gives no address from now on, so that joining it takes a while
  await sh('kill "$(cat /run/ap-wlan3.dnsmasq.pid)"')
  const { answer } = await underWay('LabSafe', { password })
  await sh('systemctl restart NetworkManager')
  t.match(await answer, { success: false, code: /^(WIFI_SERVICE_LOST|MODULE_UNAVAILABLE)$/ })
  await on('LabNet')
  t.same(await saved(), ['LabNet'])
})

void t.test('the radios are pulled and put back', async (t) => {
  const { answer: cut } = await underWay('LabSafe', { password })
  await sh('modprobe -r mac80211_hwsim')
  t.match(await cut, { success: false, code: /^WIFI_(DEVICE_REMOVED|SERVICE_LOST)$/ })
  await status(({ device, state }) => device === undefined && state === 'unavailable')
  await ends(t, 'WIFI_NO_DEVICE', () => join('LabNet'))
  await sh('/host/wifi.sh')
  await on('LabNet')
})

void t.test('a change that cuts off whoever asked for it is undone', async (t) => {
  const { ip } = await on('LabNet')
  // a way in that leads over the access point and wlan0
  const relay = `
    import { spawn } from 'node:child_process'
    import { createServer } from 'node:net'
    createServer((socket) => {
      const way = spawn('ip', ['netns', 'exec', 'ap-wlan1', 'nc', process.argv[2], '8080'], { stdio: ['pipe', 'pipe', 'inherit'] })
      way.stdin.on('error', () => {})
      socket.on('error', () => {}).on('close', () => way.kill()).pipe(way.stdin)
      way.stdout.pipe(socket)
      way.on('exit', () => socket.destroy())
    }).listen(8081)`
  await sh(`cat >/root/relay.mjs <<'E'\n${relay}\nE\nsystemd-run --quiet --unit=relay node /root/relay.mjs ${ip}
    until ss -ltn | grep -q :8081; do sleep 0.2; done`)
  await ask('wifi:scan')
  await networks((list) => list.some(({ ssid }) => ssid === 'LabOpen'))
  for (let tries = 1, ssid: string | undefined; ssid !== 'LabOpen'; tries++) {
    if (tries > 4) throw new Error(`LabOpen is not joined: ${JSON.stringify(observer.heard.slice(-10))}`)
    const client = await user(8081)
    // what is answered does not arrive unless it failed
    const answer = client.ask('wifi:connect', { ssid: 'LabOpen' })
    answer.then(({ code }) => t.comment(`LabOpen: ${code}`)).catch(() => undefined)
    await Promise.race([observer.next<Status>('wifi:status', ({ state }) => state === 'connecting'), answer])
    ssid = (await status(({ state, ip }) => state === 'connected' && ip !== undefined)).ssid
  }
  t.match(await observer.next<{ code: string }>('error', ({ code }) => code === 'WIFI_ROLLED_BACK'), { module: 'wifi' })
  await on('LabNet')
  t.same(await saved(), ['LabNet'])
})

void t.test('the passwords are nowhere but where NetworkManager keeps them', async (t) => {
  const heard = JSON.stringify(clients.map(({ heard }) => heard))
  const journal = await machine.journal()
  t.match(journal, /patchbay/)
  for (const secret of [password, wrong]) {
    t.notMatch(heard, secret)
    t.notMatch(journal, secret)
  }
  const files = await sh(
    `grep -rlE --binary-files=text '${password}|${wrong}' /etc /var /tmp /run --exclude='ap-wlan*.conf' --exclude-dir=lab --exclude-dir=netns | sort | xargs || true`,
  )
  t.equal(files, '/etc/NetworkManager/system-connections/LabNet.nmconnection')
  elapsed('done')
})
