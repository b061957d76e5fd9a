import { readdir, readFile } from 'node:fs/promises'
import type { Browser } from 'playwright-core'
import t, { type Test } from 'tap'
import { startTestHost, type TestHost } from '../../core/testing/host.ts'
import { openPage, startBrowser } from './browser.ts'
import { type Place, Screen } from './screen.ts'
import { Way } from './way.ts'

interface Viewers {
  readonly viewers: ReadonlyArray<{ userId: string; state: string; resolution: string; lostPercent: number; frameRate: number }>
  readonly snapshots: ReadonlyArray<{ userId: string }>
}

const testMs = 150_000
/** Encoding, decoding and all else share few processors here: a small picture, and as few of them as may be. */
const settings = { simulated: true, camera: 'simulated', frameRate: 15, bitrateKbps: 1000, maxBitrateKbps: 1000 }
let browser: Browser

async function startHost(t: Test): Promise<TestHost> {
  const host = await startTestHost({ builtins: ['camera'], settings: { camera: settings } })
  t.teardown(() => host.stop())
  t.match(await host.reached('camera', 'running', 'failed', 'unavailable'), { state: 'running', runIn: 'process' })
  return host
}

async function openScreen(t: Test, host: TestHost, user?: number): Promise<Screen> {
  const screen = await Screen.open(await openPage(t, browser), await host.client('operator', user))
  await screen.client.ask('module:subscribe', { module: 'camera' })
  return screen
}

/** Each is the same as the one before or a later one; modulo 65,536. */
function isOrdered(numbers: readonly number[]): boolean {
  return numbers.every((number, i) => i === 0 || (number - (numbers[i - 1] as number) + 65_536) % 65_536 < 1000)
}

/** Programs that read a camera for a plugin of this process. */
async function encoders(): Promise<number> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const parents = new Map<string, string>()
  const reading: string[] = []
  for (const id of ids) {
    const [stat, line] = await Promise.all(
      ['stat', 'cmdline'].map((name) => readFile(`/proc/${id}/${name}`, 'utf8').catch(() => '')),
    )
    parents.set(id, /\) \S (\d+)/.exec(stat ?? '')?.[1] ?? '')
    if (line?.startsWith('ffmpeg\0')) reading.push(id)
  }
  const isOurs = (id: string): boolean => id === String(process.pid) || (parents.has(id) && isOurs(parents.get(id) as string))
  return reading.filter(isOurs).length
}

void t.test('with a browser', { timeout: 900_000 }, async (t) => {
  browser = await startBrowser(t)

  await t.test('the host offers, and the right picture moves', { timeout: testMs }, async (t) => {
    const host = await startHost(t)
    const screen = await openScreen(t, host)
    t.match(await screen.start('480p'), { success: true, resolution: '480p', iceServers: [] })
    t.match(await screen.more(1), { height: 480 })
    const numbers = await screen.numbers(60)
    t.ok(isOrdered(numbers), numbers.join(' '))
    t.ok(new Set(numbers).size > 20, `it moves: ${numbers.join(' ')}`)
    t.match(screen.heard[0], /^v=0/)
    t.notMatch(screen.heard[0], /candidate/, 'they follow one by one')

    const left = screen.hears<Viewers>('camera:viewers', ({ viewers }) => viewers.length === 0)
    t.match(await screen.client.ask('camera:stop'), { success: true })
    await left
    await stands(screen)
    t.match(await screen.start('480p'), { success: true })
    await screen.more(5)
  })

  await t.test('a browser that offers is answered', { timeout: testMs }, async (t) => {
    const host = await startHost(t)
    const screen = await openScreen(t, host)
    t.match(await screen.offer(), { success: true })
    t.match(await screen.more(20), { height: 720 })
    t.ok(isOrdered(await screen.numbers(20)))
  })

  await t.test('three watch one encoder, one of them vanishes, another wants it smaller', { timeout: testMs }, async (t) => {
    const host = await startHost(t)
    const [one, two, three] = [await openScreen(t, host), await openScreen(t, host), await openScreen(t, host)]
    const way = new Way(t)
    three.lead = (candidate) => way.lead(candidate)
    for (const screen of [one, two, three]) t.match(await screen.start('480p'), { success: true })
    for (const screen of [one, two, three]) await screen.more(5)
    t.equal(await encoders(), 1)

    const gone = one.hears<Viewers>('camera:viewers', ({ viewers }) => viewers.length === 2)
    const [told, inFull] = [three.hears('camera:error'), three.hears('error')]
    // It has lost its network: nothing says goodbye.
    way.lost = 100
    await gone
    t.match(await told, { code: 'CAMERA_CONNECTION_LOST' })
    t.match(await inFull, { module: 'camera', code: 'CAMERA_CONNECTION_LOST' })
    for (const screen of [one, two]) await screen.more(5)

    t.match(await one.start('720p'), { success: true, resolution: '720p' })
    await one.until(({ height }) => height === 720, 'the other resolution')
    t.equal(one.heard.filter((text) => text.startsWith('v=0')).length, 1, 'over the connection that it has')
    await one.more(5)
    t.match(await two.more(5), { height: 480 }, 'and the other viewer is left as it was')
    t.equal(await encoders(), 1)
  })

  await t.test('the picture goes on where three of a hundred packets are lost', { timeout: testMs }, async (t) => {
    const host = await startHost(t)
    const screen = await openScreen(t, host)
    const way = new Way(t)
    way.lost = 3
    screen.lead = (candidate) => way.lead(candidate)
    const lossy = screen.hears<Viewers>('camera:viewers', ({ viewers }) => viewers.some(({ lostPercent }) => lostPercent > 0))
    t.match(await screen.start('480p'), { success: true })
    const numbers = await screen.numbers(100)
    t.ok(isOrdered(numbers), numbers.join(' '))
    t.ok(new Set(numbers).size > 30, `it moves: ${numbers.join(' ')}`)
    await lossy
  })

  await t.test('a snapshot of the stream shows what the stream shows, which goes on', { timeout: testMs }, async (t) => {
    const host = await startHost(t)
    const [screen, other] = [await openScreen(t, host, 501), await openScreen(t, host, 502)]
    t.match(await screen.start('480p'), { success: true })
    const { number: before } = await screen.more(10)
    const result = screen.hears<{ base64: string; timestamp: number }>('camera:snapshot_result')
    const seen = other.hears<Viewers>('camera:viewers', ({ snapshots }) => snapshots.length > 0)
    let others = 0
    other.client.socket.on('camera:snapshot_result', () => others++)
    const answer = await screen.client.ask('camera:snapshot')
    t.match(answer, { success: true })
    const { base64, timestamp } = await result
    t.equal(answer.timestamp, timestamp)
    t.ok(Math.abs(Date.now() - timestamp) < 20_000, 'the time of exposure')
    t.match(await seen, { snapshots: [{ userId: 'telegram:501' }] }, 'who took it is seen by all')
    // Places of the pattern that do not move, but for what passes before one of them.
    const places: Place[] = [0.1, 0.35, 0.6, 0.85].map((x) => [x, 0.3])
    const picture = await other.decode(base64, places)
    t.match(picture, { height: 480 })
    t.ok(isOrdered([(before ?? 0) - 60, picture.number]), `${before} before, ${picture.number} in it`)
    const { number: after } = await screen.more(10)
    t.ok(isOrdered([picture.number, after ?? 0]), `${picture.number} in it, ${after} later`)
    const shown = await screen.colours(places)
    const isAlike = (one: readonly number[], other: readonly number[] = []) =>
      one.every((value, i) => Math.abs(value - (other[i] ?? 0)) < 60)
    const alike = picture.colours.filter((colour, i) => isAlike(colour, shown[i]))
    t.ok(alike.length >= 3, `${JSON.stringify(picture.colours)} against ${JSON.stringify(shown)}`)
    t.equal(others, 0, 'it goes to the asker only')
  })

  await t.test('who loses the right to watch loses the picture', { timeout: testMs }, async (t) => {
    const host = await startHost(t)
    const [screen, other] = [await openScreen(t, host, 601), await openScreen(t, host, 602)]
    for (const each of [screen, other]) t.match(await each.start('480p'), { success: true })
    await Promise.all([screen.more(5), other.more(5)])
    const gone = other.hears<Viewers>('camera:viewers', ({ viewers }) => viewers.length === 1)
    await host.allow(601, 'viewer')
    await gone
    await stands(screen)
    await other.more(10)
    t.match(await screen.start(), { success: false, code: 'FORBIDDEN' })
    t.match(await screen.client.ask('camera:snapshot'), { success: false, code: 'FORBIDDEN' })
  })
})

/** Nothing new comes, while the picture of others would have moved. */
async function stands(screen: Screen): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const { frames } = await screen.look()
  await new Promise((resolve) => setTimeout(resolve, 2000))
  t.equal((await screen.look()).frames, frames, 'no picture comes any more')
}
