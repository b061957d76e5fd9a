import { createSocket } from 'node:dgram'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { startTestHost, type TestClient, type TestHost } from '../../../core/testing/host.ts'
import { Receiver } from './receiver.ts'

interface Viewers {
  readonly viewers: ReadonlyArray<{ userId: string; state: string; frameRate: number; latencyMs: number | null }>
  readonly snapshots: ReadonlyArray<{ userId: string }>
}

const simulated = { simulated: true, camera: 'simulated', frameRate: 15 }
/** What a machine does that has nothing but loopback. */
const loopback = { ...simulated, interfaces: ['lo'], localAddresses: true }

t.setTimeout(300_000)

async function startHost(t: Test, settings: object = loopback, others: string[] = []): Promise<TestHost> {
  const host = await startTestHost({ builtins: ['camera', ...others], settings: { camera: settings } })
  t.teardown(() => host.stop())
  t.match(await host.reached('camera', 'running', 'failed', 'unavailable'), { state: 'running', runIn: 'process' })
  return host
}

async function subscribed(host: TestHost, user?: number): Promise<TestClient> {
  const client = await host.client('operator', user)
  t.match(await client.ask('module:subscribe', { module: 'camera' }), { success: true })
  return client
}

/** The next value of an event that fits, however slow the machine is. */
function hears<T>(client: TestClient, event: string, fits: (value: T) => boolean = () => true): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} within 40 s`)), 40_000)
    const listen = (value: T) => {
      if (!fits(value)) return
      clearTimeout(timer)
      client.socket.off(event, listen)
      resolve(value)
    }
    client.socket.on(event, listen)
  })
}

void t.test('whoever starts is offered the picture and gets it, and all who may watch see who does', async (t) => {
  const host = await startHost(t)
  const [client, other] = [await subscribed(host, 501), await subscribed(host, 502)]
  const receiver = new Receiver(t, client)
  let overheard = 0
  for (const event of ['camera:offer', 'camera:ice_candidate']) other.socket.on(event, () => overheard++)
  const seen = hears<Viewers>(other, 'camera:viewers', ({ viewers }) => viewers.some(({ latencyMs }) => latencyMs !== null))
  const status = hears(other, 'camera:status', ({ capturing }: { capturing: boolean }) => capturing)
  t.match(await receiver.start(), { success: true, resolution: '480p', iceServers: [] })
  await receiver.more(20)
  t.match(await status, { simulated: true, camera: { kind: 'simulated' }, encoder: /./, problem: null })
  const [viewer] = (await seen).viewers
  t.match(viewer, { userId: 'telegram:501', state: 'watching', resolution: '480p', wanted: '480p', roundTripMs: Number })
  t.ok((viewer?.frameRate ?? 0) > 0)
  t.equal(overheard, 0, 'what is said between the two is theirs')

  const gone = hears<Viewers>(other, 'camera:viewers', ({ viewers }) => viewers.length === 0)
  client.socket.close()
  await gone
})

void t.test('who watched and who took a snapshot is in the audit', async (t) => {
  const host = await startHost(t, loopback, ['audit'])
  await host.reached('audit', 'running')
  const client = await subscribed(host, 501)
  t.match(await new Receiver(t, client).start(), { success: true })
  t.match(await client.ask('camera:snapshot'), { success: true })
  const { entries } = (await (await host.client('owner')).ask('audit:recent')) as unknown as { entries: { command?: string }[] }
  for (const command of ['camera:start', 'camera:snapshot']) {
    const entry = entries.find((one) => one.command === command)
    t.match(entry, { kind: 'command', userId: 'telegram:501', module: 'camera', result: 'OK' })
  }
})

void t.test('a client that offers is answered, and candidates may come before all else', async (t) => {
  const host = await startHost(t)
  const receiver = new Receiver(t, await subscribed(host))
  t.match(await receiver.offer(), { success: true })
  await receiver.more(20)
  const late = new Receiver(t, await subscribed(host), { answersLate: true })
  t.match(await late.start(), { success: true })
  await late.more(20)
  t.notOk(late.toldTooEarly, 'who knew the way before we know him would be taken for somebody else')
  t.match(await late.client.ask('camera:answer', { type: 'answer', sdp: 'v=0' }), { success: false, code: 'CAMERA_BAD_SIGNAL' })
  await late.more(20)
})

void t.test('no more watch than may; one port will do for all of them', async (t) => {
  const port = 40_000 + (process.pid % 20_000)
  const host = await startHost(t, { ...loopback, maxViewers: 2, udpPort: port })
  const receivers = []
  for (let i = 0; i < 3; i++) receivers.push(new Receiver(t, await subscribed(host)))
  const [one, two, three] = receivers as [Receiver, Receiver, Receiver]
  for (const receiver of [one, two]) t.match(await receiver.start(), { success: true })
  for (const receiver of [one, two]) await receiver.more(20)
  for (const receiver of [one, two]) for (const candidate of receiver.candidates) t.match(candidate, ` ${port} typ host`)
  const told = hears(three.client, 'camera:error')
  t.match(await three.start(), { success: false, code: 'CAMERA_TOO_MANY_VIEWERS', error: /^2 watch already/ })
  t.match(await told, { code: 'CAMERA_TOO_MANY_VIEWERS', message: /^2 watch already/ }, 'told in the contract’s own event, too')
  t.match(await two.client.ask('camera:stop'), { success: true })
  t.match(await three.start(), { success: true })
  await three.more(20)
  await one.more(20)
})

void t.test('a browser that hangs up is no viewer any more', async (t) => {
  const host = await startHost(t)
  const receiver = new Receiver(t, await subscribed(host))
  await receiver.start()
  await receiver.more(20)
  const gone = hears<Viewers>(receiver.client, 'camera:viewers', ({ viewers }) => viewers.length === 0)
  receiver.hangUp()
  await gone
})

void t.test('what somebody else was offered is not answered, and a browser without H.264 is told', async (t) => {
  const host = await startHost(t)
  const receiver = new Receiver(t, await subscribed(host), { alter: (sdp) => sdp.replaceAll('H264', 'VP8') })
  const stranger = await subscribed(host)
  const refused = hears(receiver.client, 'camera:error')
  t.match(await receiver.start(), { success: true })
  t.match(await refused, { code: 'CAMERA_NO_H264' })
  const { sdp } = receiver.offers[0] as { sdp: string }
  t.match(await stranger.ask('camera:answer', { type: 'answer', sdp }), { success: false, code: 'CAMERA_NOT_WATCHING' })
  t.match(await stranger.ask('camera:offer', { type: 'offer', sdp: sdp.replaceAll('H264', 'VP8') }), { code: 'CAMERA_NO_H264' })
  const data = 'm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\n'
  t.match(await stranger.ask('camera:offer', { type: 'offer', sdp: sdp + data }), { code: 'CAMERA_BAD_SIGNAL' })
  t.match(await stranger.ask('camera:offer', { type: 'offer', sdp: 'v'.repeat(20_001) }), { code: 'INVALID_PAYLOAD' })
  const candidate = { candidate: 'candidate:1 1 UDP 1 192.0.2.7 50000 typ host', sdpMid: '0', sdpMLineIndex: 0 }
  for (let i = 0; i < 32; i++) t.match(await stranger.ask('camera:ice_candidate', candidate), { success: true, used: true })
  t.match(await stranger.ask('camera:ice_candidate', candidate), { success: false, code: 'CAMERA_BAD_SIGNAL' })
  t.match(await stranger.ask('camera:ice_candidate', null), { success: true, used: false })
  const viewer = await host.client('viewer')
  for (const [command, payload] of [
    ['camera:start', { resolution: '480p' }],
    ['camera:snapshot', undefined],
    ['module:subscribe', { module: 'camera' }],
  ] as const)
    t.match(await viewer.ask(command, payload), { success: false, code: 'FORBIDDEN' })
})

void t.test('the relay alone is told, with a password of the user’s own; without a way to it there is a sentence', async (t) => {
  const relay = { relayOnly: true, turn: ['turn:127.0.0.1:9'], turnSecret: 'hush', turnSeconds: 600 }
  const host = await startHost(t, { ...loopback, ...relay })
  const receiver = new Receiver(t, await subscribed(host, 501))
  const [told, inFull] = [hears(receiver.client, 'camera:error'), hears(receiver.client, 'error')]
  const server = { urls: ['turn:127.0.0.1:9'], username: /^\d+:telegram_501$/, credential: /^[\w+/]{27}=$/ }
  t.match(await receiver.start(), { success: true, iceServers: [server] })
  t.match(receiver.offers, [{ iceServers: [server] }])
  t.match(await receiver.client.ask('camera:ice_servers'), { iceServers: [server] })
  t.notMatch(JSON.stringify(host.log), 'hush')
  t.match(await told, { code: 'CAMERA_NO_PATH', message: /not even over the relay/ })
  t.match(await inFull, { module: 'camera', code: 'CAMERA_NO_PATH' })
  t.strictSame(receiver.candidates, [])
  t.notMatch(receiver.offers[0]?.sdp, /candidate|^c=IN IP4 (?!0\.0\.0\.0)/m)
})

void t.test(
  'whatever is sent as a description or candidate, the plugin goes on, and nobody of this machine is knocked at',
  async (t) => {
    const host = await startHost(t, simulated)
    const receiver = new Receiver(t, await subscribed(host))
    await receiver.start()
    const sdp = receiver.offers[0]?.sdp.replace('a=sendonly', 'a=recvonly').replace('a=setup:actpass', 'a=setup:active') ?? ''
    t.match(sdp, /a=recvonly/)
    const listeners = [createSocket('udp4'), createSocket('udp6')]
    let knocks = 0
    const bind = ['127.0.0.1', '::1']
    const ports = await Promise.all(
      listeners.map(async (listener, i) => {
        listener.on('message', () => knocks++)
        await new Promise<void>((resolve) => listener.bind(0, bind[i], resolve))
        return (listener.address() as AddressInfo).port
      }),
    )
    t.teardown(() => listeners.forEach((listener) => void listener.close()))
    const places = [
      '127.0.0.1',
      'localhost',
      '127.1',
      '2130706433',
      '0x7f000001',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '0.0.0.0',
      '::1',
      '::',
    ]
    const lines = sdp.split('\r\n')
    const piece = fc.oneof(
      fc.constantFrom(...lines),
      fc.constantFrom(
        'm=audio 9 UDP/TLS/RTP/SAVPF 0',
        'a=ssrc:1 cname:x',
        'a=fingerprint:sha-256 00',
        'a=group:BUNDLE 9 9',
        'a=max-message-size:-1',
      ),
      fc.string({ maxLength: 40 }),
    )
    /** The real one with pieces put in, left out, or in another's place. */
    const altered = fc
      .array(fc.tuple(fc.nat(lines.length - 1), fc.constantFrom('add', 'drop', 'replace', 'cut'), piece), { maxLength: 6 })
      .map((changes) => {
        const text = [...lines]
        for (const [at, how, what] of changes) {
          if (how === 'cut') text[at] = (text[at] ?? '').slice(0, what.length)
          else text.splice(at, how === 'add' ? 0 : 1, ...(how === 'drop' ? [] : [what]))
        }
        return text.join('\r\n').slice(0, 20_000)
      })
    const codes = new Set<unknown>()
    for (const text of fc.sample(altered, { numRuns: 120, seed: 7 })) {
      // Another user each time: nobody may offer that often.
      const client = await host.client('operator')
      for (const address of places)
        for (const port of ports) {
          const candidate = `candidate:1 1 UDP 2122252543 ${address} ${port} typ host`
          const { used } = await client.ask('camera:ice_candidate', { candidate, sdpMid: 'video', sdpMLineIndex: 0 })
          codes.add(used)
        }
      const within = text.replace('a=mid', `a=candidate:1 1 UDP 2122252543 127.0.0.1 ${ports[0]} typ host\r\na=mid`)
      codes.add((await client.ask('camera:offer', { type: 'offer', sdp: within })).code)
      client.socket.close()
    }
    t.ok(codes.has('CAMERA_BAD_SIGNAL') && codes.has(undefined), `some were taken, some refused: ${[...codes].join(' ')}`)
    t.notOk(codes.has(true), 'no candidate of those was used')
    t.notOk(codes.has('INTERNAL') || codes.has('MODULE_FAILED'), [...codes].join(' '))
    t.match(await host.reached('camera', 'running'), { state: 'running' })
    t.equal(host.log.filter((line) => /"running"/.test(line) && /camera/.test(line)).length, 1, 'it ran through')
    t.equal(knocks, 0)
  },
)

void t.test('what libdatachannel leaves running here, where it is the viewers, is not waited for', async (t) => {
  setTimeout(() => process.exit(), 2000).unref()
  t.pass()
})
