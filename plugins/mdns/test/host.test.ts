import t, { type Test } from 'tap'
import { askDaemon } from '../../../core/http/control.ts'
import { startTestHost, type TestHost } from '../../../core/testing/host.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { Avahi } from './avahi.ts'

interface Status {
  readonly announced: boolean
  readonly name?: string
  readonly url?: string
  readonly reason?: string
}

/** The test's own client comes to this very address. */
const everywhere = { address: '0.0.0.0', hosts: ['0.0.0.0'] }

/** A host with the plugin on, on a bus that knows how to start Avahi, as Debian's does. */
async function start(t: Test, host: object = everywhere, avahi?: (avahi: Avahi) => void) {
  const bus = await new PrivateBus(t).start()
  await bus.addActivatable('org.freedesktop.Avahi')
  const service = new Avahi(bus)
  avahi?.(service)
  await service.start()
  const testHost = await startTestHost({ builtins: ['mdns'], busAddress: bus.address, host })
  t.teardown(() => testHost.stop())
  await testHost.reached('mdns', 'running')
  const client = await testHost.client('viewer')
  const status = (isMeant: (status: Status) => boolean) => client.next<Status>('mdns:status', isMeant)
  const subscribe = () => client.ask('module:subscribe', { module: 'mdns' })
  return { bus, avahi: service, host: testHost, client, status, subscribe }
}

/** What the doctor finds of the plugin. */
async function findings({ dataDir }: TestHost): Promise<unknown> {
  const { plugins } = await askDaemon(dataDir, { command: 'doctor' })
  return (plugins as Array<{ id: string; findings: unknown }>).find(({ id }) => id === 'mdns')?.findings
}

const portOf = (url = '') => Number(new URL(url).port)

void t.test('who listens for the network is announced to it by name, and withdrawn at the end', async (t) => {
  const { avahi, host, status, subscribe } = await start(t)
  const announced = status((each) => each.announced)
  await subscribe()
  const { name, url, reason } = await announced
  t.same([name, reason], ['Patchbay on testpi', undefined])
  const port = portOf(host.url)
  t.equal(url, `http://testpi.local:${port}`)
  t.same(avahi.services, [{ name: 'Patchbay on testpi', type: '_http._tcp', port, txt: ['path=/login'] }])
  await host.stop()
  t.same(avahi.services, [])
  t.equal(avahi.calls.at(-1), 'Free', 'told, not only left')
})

void t.test('what was announced stands while nothing else uses the bus', async (t) => {
  const { avahi, bus, client, subscribe } = await start(t)
  await avahi.sees(1)
  const [connection, ...others] = await bus.strangers()
  t.same(others, [])
  await subscribe()
  await client.ask('module:unsubscribe', { module: 'mdns' })
  t.same(await bus.strangers(), [connection])
  t.equal(avahi.services.length, 1)
  t.equal(avahi.calls.filter((member) => member === 'EntryGroupNew').length, 1)
})

void t.test(
  'a host that only this machine reaches is not announced, until host.json says otherwise; and elsewhere again',
  async (t) => {
    const { avahi, host, status, subscribe } = await start(t, {})
    const none = status((each) => !each.announced)
    await subscribe()
    t.match((await none).reason, /^Patchbay listens at http:\/\/127\.0\.0\.1:\d+ only, where no other machine reaches it/)
    t.notMatch(avahi.calls, ['EntryGroupNew'])
    const first = status((each) => each.announced)
    await host.writeConfig('host', { port: 0, ...everywhere })
    const { url } = await first
    const second = status((each) => each.announced && each.url !== url)
    await host.writeConfig('host', { port: 0, address: '::' })
    const { url: moved } = await second
    t.match(avahi.services, [{ port: portOf(moved) }])
    t.not(portOf(moved), portOf(url))
    const gone = status((each) => !each.announced)
    await host.writeConfig('host', { port: 0, address: '127.0.0.1' })
    await gone
    t.same(avahi.services, [])
  },
)

void t.test('a name that another machine or this one has taken is replaced by one that Avahi proposes', async (t) => {
  const taken = (avahi: Avahi) => void avahi.takenElsewhere.add('Patchbay on testpi').add('Patchbay on testpi #2')
  const { avahi, bus } = await start(t, everywhere, taken)
  t.match(await avahi.sees(1), [{ name: 'Patchbay on testpi #3' }])
  const second = await startTestHost({ builtins: ['mdns'], busAddress: bus.address, host: everywhere })
  t.teardown(() => second.stop())
  t.match(await avahi.sees(2), [{ name: 'Patchbay on testpi #3' }, { name: 'Patchbay on testpi #4' }])
})

void t.test('while Avahi is stopped it is not started; when it runs again, the announcement is made anew', async (t) => {
  const { avahi, host, status, subscribe } = await start(t)
  const first = status((each) => each.announced)
  await subscribe()
  await first
  const stopped = status((each) => !each.announced)
  await avahi.stop()
  t.equal((await stopped).reason, 'Avahi is not running.')
  t.equal((await host.reached('mdns', 'running')).state, 'running')
  const finding = { kind: 'mdns', ok: false, sentence: 'Nothing is announced. Avahi is not running.', mend: /^sudo systemctl/ }
  t.match(await findings(host), [{ name: 'org.freedesktop.Avahi' }, finding])
  const again = status((each) => each.announced)
  avahi.hostName = 'renamed'
  await avahi.start()
  t.match(await again, { name: 'Patchbay on renamed' })
  t.match(await findings(host), [
    {},
    { ok: true, sentence: /^Announced as "Patchbay on renamed", at http:\/\/renamed\.local:\d+\.$/ },
  ])
})

void t.test('a machine that was renamed is announced anew as soon as somebody looks', async (t) => {
  const { avahi, status, subscribe } = await start(t)
  await avahi.sees(1)
  avahi.hostName = 'ö'.repeat(31)
  const renamed = status(({ url }) => url?.includes('xn--') === true)
  await subscribe()
  t.equal((await renamed).name, `Patchbay on ${'ö'.repeat(25)}`, 'as much of it as fits into 63 bytes')
})

void t.test('what Avahi refuses is told', async (t) => {
  const { avahi, status, subscribe } = await start(t, everywhere, (avahi) => (avahi.forbidsServices = true))
  const refused = status((each) => !each.announced && each.reason !== 'Avahi is not running.')
  await subscribe()
  t.match((await refused).reason, /^Avahi lets no program announce services: see disable-publishing/)
  const failed = status(({ reason = '' }) => /^Avahi could not/.test(reason))
  Object.assign(avahi, { forbidsServices: false, isBroken: true })
  await avahi.stop()
  await avahi.start()
  t.equal((await failed).reason, 'Avahi could not announce the service.')
})

void t.test('without Avahi the plugin waits, and the command that mends it is told', async (t) => {
  const bus = await new PrivateBus(t).start()
  const host = await startTestHost({ builtins: ['mdns'], busAddress: bus.address })
  t.teardown(() => host.stop())
  t.match((await host.reached('mdns', 'unavailable')).reason, /sudo apt-get install avahi-daemon/)
  await new Avahi(bus).start()
  await host.reached('mdns', 'running')
})
