import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { asksFor, describeGrant, lacking, ungranted } from '../../../core/lifecycle/grants.ts'
import type { Contract } from '../../../core/plugin/contract.ts'
import type { PluginStatus } from '../../../core/plugin/host-control.ts'
import { startTestHost, type TestHost } from '../../../core/testing/host.ts'
import { temporary, writePlugin } from './lab.ts'

const greedy: Contract = {
  id: 'greedy',
  needs: { devices: ['/dev/video*', '/sys/class/leds/*'], dbus: ['org.bluez'], tools: { nvme: { package: 'nvme-cli' } } },
  capabilities: {
    dbus: ['org.freedesktop.login1', 'org.bluez'],
    exec: ['nvme', 'nvme'],
    files: { read: ['/sys/class/leds', '/srv/both'], write: ['/srv/both', '/srv/a:b'] },
    network: true,
    addons: true,
    store: true,
  },
}
const all = [
  'addons',
  'dbus:org.bluez',
  'dbus:org.freedesktop.login1',
  'device:/dev/video*',
  'exec:nvme',
  'file-read:/sys/class/leds',
  'file-write:/srv/a:b',
  'file-write:/srv/both',
  'network',
  'store',
]

void t.test('what a contract asks for is a sorted list, of what reaches outside and of nothing else', async (t) => {
  t.same(asksFor(greedy), all)
  t.same(asksFor({ id: 'modest', needs: { session: true, dbus: ['org.bluez'], devices: ['/sys/class/leds/*'] } }), [])
  t.same(
    ungranted(greedy, ['network', 'exec:rm']),
    all.filter((grant) => grant !== 'network'),
  )
  t.same(ungranted(greedy, all), [])
})

void t.test('every kind of grant has a sentence of its own that names what it is about', async (t) => {
  const told = all.map(describeGrant)
  t.equal(new Set(told.map(({ sentence }) => sentence)).size, all.length)
  for (const { grant, sentence } of told) {
    t.match(sentence, /^It .+\.$/)
    t.ok(sentence.includes(grant.split(':').slice(1).join(':')), sentence)
    t.notMatch(sentence, /asks for/, `${grant} has none`)
  }
})

void t.test('what is lacking is named, five of it at most, with the command that grants it', async (t) => {
  t.equal(lacking('greedy', [], 'patchbay'), undefined)
  t.equal(
    lacking('greedy', ['network'], 'sudo patchbay'),
    'It asks for more than it was granted: network. Grant it with: sudo patchbay plugins enable greedy',
  )
  t.match(lacking('greedy', all, 'patchbay'), /exec:nvme and 5 more\. /)
})

const bus = ['org.freedesktop.login1']
const contract = (dbus: readonly string[]): Contract => ({ id: 'asker', capabilities: { dbus } })
const row = (host: TestHost) => host.status().find(({ id }) => id === 'asker') as PluginStatus

async function startHost(t: Test): Promise<TestHost> {
  const host = await startTestHost()
  t.teardown(() => host.stop())
  await writePlugin(join(host.pluginDir, 'asker'), { contract: contract(bus), start: () => undefined })
  await host.reached('asker', 'disabled')
  await host.reached('host', 'running')
  return host
}

/** Resolves when the row of the plugin is as it should be. */
async function until(host: TestHost, fits: (row: PluginStatus) => boolean): Promise<PluginStatus> {
  if (fits(row(host))) return row(host)
  return new Promise((resolve) => host.host.onStatus(() => fits(row(host)) && resolve(row(host))))
}

void t.test('switched on by hand without what it asks for it stays off, and says what is missing', async (t) => {
  const host = await startHost(t)
  t.match(row(host), { reason: 'It is not switched on in plugins.json.', asks: [{ grant: 'dbus:org.freedesktop.login1' }] })
  await host.writeConfig('plugins', { plugins: { asker: { enabled: true, grants: ['dbus:org.bluez'] } } })
  const held = await until(host, ({ reason = '' }) => reason.startsWith('It asks for more'))
  t.match(held, { state: 'disabled', reason: /: dbus:org\.freedesktop\.login1\. Grant it with: patchbay plugins enable asker$/ })
  await host.writeConfig('plugins', { plugins: { asker: { enabled: true, grants: ['dbus:org.freedesktop.login1'] } } })
  t.notOk((await host.reached('asker', 'running')).asks)
})

void t.test('an owner grants exactly what he was shown', async (t) => {
  const host = await startHost(t)
  const owner = await host.client('owner')
  const refused = await owner.ask('host:enable', { id: 'asker' })
  t.match(refused, { success: false, code: 'HOST_ASKS_FOR_MORE' })
  const shown = owner.next<{ details?: object }>('error')
  t.match(await owner.ask('host:enable', { id: 'asker', grants: ['network'] }), { code: 'HOST_ASKS_FOR_MORE' })
  const [grant] = asksFor(contract(bus))
  t.match(await shown, { details: { asks: [{ grant, sentence: /^It calls the service org\.freedesktop\.login1 / }] } })
  t.notMatch(await readFile(join(host.configDir, 'plugins.json'), 'utf8'), /asker/, 'nothing was written')

  t.match(await owner.ask('host:enable', { id: 'asker', grants: [grant, 'network', 'exec:rm'] }), { state: 'running' })
  const { plugins } = JSON.parse(await readFile(join(host.configDir, 'plugins.json'), 'utf8'))
  t.same(plugins.asker, { enabled: true, grants: [grant] }, 'and nothing beyond what it asks for')
  t.match(await owner.ask('host:disable', { id: 'asker' }), { state: 'disabled' })
  t.match(await owner.ask('host:enable', { id: 'asker' }), { state: 'running' }, 'what was granted stays granted')
  t.match(await owner.ask('host:enable', { id: 'system', grants: ['network'] }), { state: 'running' }, 'it needs none')
  const { plugins: now } = JSON.parse(await readFile(join(host.configDir, 'plugins.json'), 'utf8'))
  t.same(now.system, { enabled: true }, 'and is given none')
})

void t.test('an update that asks for more stops the plugin until that is granted too', async (t) => {
  const host = await startHost(t)
  const owner = await host.client('owner')
  await owner.ask('host:enable', { id: 'asker', grants: asksFor(contract(bus)) })
  t.equal(row(host).state, 'running')
  const more = contract([...bus, 'org.bluez'])
  const held = until(host, ({ state, reason }) => state === 'disabled' && reason !== undefined)
  await writeFile(join(host.pluginDir, 'asker/contract.json'), JSON.stringify(more))
  t.match(await held, {
    reason: /^It asks for more than it was granted: dbus:org\.bluez\. /,
    asks: [{ grant: 'dbus:org.bluez' }],
  })
  t.match(await owner.ask('host:enable', { id: 'asker' }), { code: 'HOST_ASKS_FOR_MORE' })
  const dir = await temporary(t)
  await writePlugin(join(dir, 'asker'), { contract: contract(bus), start: () => undefined })
  await writeFile(join(host.pluginDir, 'asker/contract.json'), await readFile(join(dir, 'asker/contract.json')))
  await until(host, ({ asks }) => asks === undefined)
})
