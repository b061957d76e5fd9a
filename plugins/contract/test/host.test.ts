import { join } from 'node:path'
import { Parser } from '@asyncapi/parser'
import t, { type Test } from 'tap'
import { startTestHost, type TestHost } from '../../../core/testing/host.ts'
import { breakout, hostilePackage, odd, writePackage } from './hostile.ts'

const get = (host: TestHost, path: string, token?: string) =>
  fetch(`${host.url}${path}`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })

async function start(t: Test, options: Parameters<typeof startTestHost>[0] = {}): Promise<TestHost> {
  const host = await startTestHost({ ...options, builtins: ['contract', ...(options.builtins ?? [])] })
  t.teardown(() => host.stop())
  await host.reached('contract', 'running')
  return host
}

void t.test('the document is valid AsyncAPI by the official parser, with every plugin there is, a hostile one too', async (t) => {
  const dir = await hostilePackage(t)
  const host = await start(t, { builtins: ['system'], plugins: [dir], settings: { hostile: { password: 'hunter2-set' } } })
  t.equal((await host.reached('hostile', 'running', 'failed', 'unavailable')).state, 'running')
  const viewer = await host.client('viewer')
  const response = await get(host, '/contract', viewer.sessionToken)
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), /^application\/json/)
  const text = await response.text()

  const parser = new Parser()
  const { document, diagnostics } = await parser.parse(text)
  const errors = diagnostics.filter(({ severity }) => severity === 0)
  t.same(
    errors.map(({ message, path }) => `${path.join('/')}: ${message}`),
    [],
  )
  if (!document) throw new Error('no document')
  t.equal(document.version(), '3.0.0')
  const modules = document
    .info()
    .extensions()
    .get('x-patchbay-modules')
    ?.value<Record<string, { state: string; version: string }>>()
  const states = host.host.status().map(({ id, state }) => [id, state])
  t.same(
    Object.entries(modules ?? {}).map(([id, { state }]) => [id, state]),
    states.sort(),
    'in whatever state it is',
  )
  t.equal(modules?.hostile?.version, '6.6.6-<script>')
  t.same(
    document
      .channels()
      .all()
      .map((channel) => channel.address())
      .sort(),
    ['/', '/areas', '/media', '/media/deep-er', '/studio', '/studio/media', '/studio/notifications'],
  )
  const operations = document
    .operations()
    .all()
    .map((operation) => operation.id())
  for (const id of [
    'hostile:toString',
    'hostile:same',
    'hostile:same.event',
    '.media.hostile:same',
    'system:stats',
    'storage:health',
  ])
    t.ok(operations.includes(id), id)

  t.notMatch(text, /hunter2-set/, "a setting is nobody else's")
  t.notMatch(text, /127\.0\.0\.1:9\/far|etc\/hostname/, 'nothing for a reader to follow')
  t.notMatch(text, viewer.sessionToken)
  t.notMatch(text, host.botToken)
  t.equal(await (await get(host, '/contract', viewer.sessionToken)).text(), text, 'the same again')
})

void t.test('a plugin that is switched off and makes no sense spoils neither the document nor the page', async (t) => {
  const host = await start(t)
  await writePackage(join(host.pluginDir, 'odd'), odd)
  await host.reached('odd', 'disabled')
  const viewer = await host.client('viewer')
  const text = await (await get(host, '/contract', viewer.sessionToken)).text()
  t.match(text, 'odd:set')
  const { diagnostics } = await new Parser().parse(text)
  t.same(
    diagnostics.filter(({ severity }) => severity === 0).map(({ message, path }) => `${path.join('/')}: ${message}`),
    [],
  )
  const page = await get(host, '/contract/html', viewer.sessionToken)
  t.equal(page.status, 200)
  t.match(await page.text(), '<h4>odd:set</h4>')
})

void t.test('the document and the page follow what changes', async (t) => {
  const host = await start(t)
  const owner = await host.client('owner')
  const stateOf = async () => {
    const { info } = (await (await get(host, '/contract', owner.sessionToken)).json()) as {
      info: { 'x-patchbay-modules': Record<string, { state: string }> }
    }
    return info['x-patchbay-modules'].system?.state
  }
  const page = async () => (await get(host, '/contract/html', owner.sessionToken)).text()
  t.equal(await stateOf(), 'disabled')
  t.match(await page(), /<h2>system <span class="state disabled">disabled</)
  t.match(await owner.ask('host:enable', { id: 'system' }), { state: 'running' })
  t.equal(await stateOf(), 'running')
  t.match(await page(), /<h2>system <span class="state running">running</)
})

void t.test('who is not logged in reads neither', async (t) => {
  const host = await start(t)
  for (const path of ['/contract', '/contract/html']) t.equal((await get(host, path)).status, 401, path)
})

void t.test('the page has no tag, attribute or address that a plugin wrote', async (t) => {
  const host = await start(t, { plugins: [await hostilePackage(t)] })
  await host.reached('hostile', 'running')
  const viewer = await host.client('viewer')
  const response = await get(host, '/contract/html', viewer.sessionToken)
  t.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
  t.match(response.headers.get('content-security-policy'), /default-src 'none'/)
  const page = await response.text()
  t.ok(page.split(/\*\/ &quot;; &#39;;/).length > 5, 'its texts are there, as text')
  t.notMatch(page, breakout)

  const [head = '', ...rest] = page.split('</style>')
  t.equal(rest.length, 1)
  const tags = (head.replace(/(?<=<style>)[^<]*$/, '') + rest.join('')).match(/<[^>]*>/g) ?? []
  const ours =
    /^<(!doctype html|\/?(html|head|title|style|body|header|main|nav|section|article|h[1-4]|p|ul|li|a|pre|code|span|table|thead|tbody|tr|th|td|br|meta)( (lang|charset|name|content|class|id|href)="[^"<>]*")*)>$/
  t.same(
    tags.filter((tag) => !ours.test(tag)),
    [],
  )
  const addresses = tags.flatMap((tag) => [...tag.matchAll(/href="([^"]*)"/g)].map(([, address]) => address))
  t.same(
    addresses.filter((address) => !/^#[a-z.-]+$/.test(address ?? '')),
    [],
  )
})
