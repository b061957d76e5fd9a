import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { io } from 'socket.io-client'
import t, { type Test } from 'tap'
import { startTestHost, type TestHost } from '../../../core/testing/host.ts'
import { parse } from './exposition.ts'

const cli = new URL('../../../dist/cli.js', import.meta.url).pathname

async function start(t: Test, builtins: readonly string[] = []) {
  const host = await startTestHost({ builtins: ['metrics', ...builtins] })
  t.teardown(() => host.stop())
  for (const id of ['metrics', ...builtins]) await host.reached(id, 'running')
  return host
}

function get({ url }: TestHost, token?: string): Promise<Response> {
  return fetch(new URL('/metrics', url), token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })
}

/** Runs `patchbay token metrics` beside the host. */
async function token({ dataDir }: TestHost, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, PATCHBAY_DATA_DIR: dataDir }
  const { stdout } = await promisify(execFile)(process.execPath, [cli, 'token', 'metrics', ...args], { env })
  return stdout.trim()
}

async function scrape(host: TestHost, token: string) {
  const response = await get(host, token)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`)
  return parse(text)
}

void t.test('figures go to an operator or to the token of their own, and to nobody else, on this machine either', async (t) => {
  const host = await start(t)
  const [operator, viewer] = [await host.client('operator'), await host.client('viewer')]
  t.equal((await get(host)).status, 401)
  t.equal((await get(host, 'x'.repeat(43))).status, 401)
  t.equal((await get(host, viewer.sessionToken)).status, 403)
  const answer = await get(host, operator.sessionToken)
  t.equal(answer.status, 200)
  t.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  t.equal(answer.headers.get('cache-control'), 'no-store')

  const first = await token(host)
  t.equal((await get(host, first)).status, 200)
  const second = await token(host)
  t.equal((await get(host, first)).status, 401, 'a new token ends the one before, while the host runs')
  t.equal((await get(host, second)).status, 200)
  t.equal((await fetch(new URL(`/metrics?token=${second}`, host.url))).status, 401, 'a token in the address is none')
  await token(host, '--remove')
  t.equal((await get(host, second)).status, 401)
  for (const secret of [first, second, operator.sessionToken])
    t.notOk(
      host.log.some((line) => line.includes(secret)),
      'no token in the log',
    )
})

void t.test('what passes through the host is counted, from the first scrape on', async (t) => {
  const host = await start(t, ['system'])
  const [operator, viewer] = [await host.client('operator'), await host.client('viewer')]
  await viewer.ask('host:sessions')
  const { series: before } = await scrape(host, operator.sessionToken)
  t.equal(before.get('patchbay_clients'), 2)
  t.equal(before.get('patchbay_sessions'), 2)
  t.equal(before.get('patchbay_plugin_state{plugin="system",state="running"}'), 1)
  t.equal(before.get('patchbay_plugin_state{plugin="storage",state="disabled"}'), 1)
  t.notOk(
    [...before.keys()].some((key) => key.startsWith('patchbay_commands_total{')),
    'nothing before it',
  )

  const figures = viewer.next('system:stats')
  await viewer.ask('module:subscribe', { module: 'system' })
  await figures
  await viewer.ask('host:sessions')
  await viewer.ask('host:sessions', 7)
  await viewer.ask('host:enable', { id: 'storage' })
  const stranger = io(host.url, {
    auth: { sessionToken: 'none' },
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
  })
  await new Promise((resolve) => stranger.once('connect_error', resolve))
  stranger.close()

  const { series } = await scrape(host, operator.sessionToken)
  const commands = (command: string, code: string) =>
    series.get(`patchbay_commands_total{module="host",command="${command}",code="${code}"}`)
  t.equal(commands('module:subscribe', 'OK'), 1)
  t.equal(commands('host:sessions', 'OK'), 1)
  t.equal(commands('host:sessions', 'INVALID_PAYLOAD'), 1)
  t.equal(commands('host:enable', 'FORBIDDEN'), 1)
  t.equal(series.get('patchbay_command_duration_seconds_count{module="host",command="host:sessions"}'), 2)
  t.equal(series.get('patchbay_subscriptions{module="system"}'), 1)
  t.ok((series.get('patchbay_events_sent_total{module="system",event="system:stats"}') ?? 0) >= 1)
  const refused = [...series].filter(([key]) => key.startsWith('patchbay_refusals_total{'))
  t.equal(
    refused.reduce((sum, [, count]) => sum + count, 0),
    1,
  )
})

void t.test('restarts and failures of a plugin are told', async (t) => {
  const host = await start(t, ['system'])
  const owner = await host.client('owner')
  await owner.ask('host:restart', { id: 'system' })
  const { series } = await scrape(host, owner.sessionToken)
  t.equal(series.get('patchbay_plugin_restarts_total{plugin="system"}'), 1)
  t.equal(series.get('patchbay_plugin_failures_total{plugin="system"}'), 0)
})

void t.test('a hostile client makes no series', async (t) => {
  const host = await start(t)
  const [owner, hostile] = [await host.client('owner'), await host.client('viewer')]
  await scrape(host, owner.sessionToken)
  const { series: before } = await scrape(host, owner.sessionToken)
  const mark = 'evil"} 1\n'
  for (let round = 0; round < 20; round++)
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => {
        const name = `${mark}${round}:${i}`
        return Promise.all([hostile.ask(name, { [name]: name }), hostile.ask('module:subscribe', { module: name })])
      }),
    )
  for (let i = 0; i < 50; i++) {
    const auth = { sessionToken: `${mark}${i}`, initData: i % 2 ? `${mark}${i}` : undefined }
    const stranger = io(host.url, { auth, transports: ['websocket'], forceNew: true, reconnection: false })
    await new Promise((resolve) => stranger.once('connect_error', resolve))
    stranger.close()
    await fetch(new URL(`/metrics/${i}?${encodeURIComponent(mark)}`, host.url))
  }
  const { series } = await scrape(host, owner.sessionToken)
  const more = [...series.keys()].filter((key) => !before.has(key))
  t.notOk(more.some((key) => key.includes('evil')))
  const unknown = more.filter((key) => key.startsWith('patchbay_commands_total{module="host",command="unknown"'))
  t.equal(
    unknown.reduce((sum, key) => sum + (series.get(key) ?? 0), 0),
    2000,
    'all are counted',
  )
  // Of two commands: 14 lines of a histogram and a counter for each code.
  const commands = more.filter((key) => key.startsWith('patchbay_command'))
  t.ok(commands.length <= 2 * (14 + 3), `${commands.length} more series of commands`)
  t.ok(more.length - commands.length <= 4, `${more.length - commands.length} other ones`)
})

void t.test('every metric of the dashboard is scraped, and every one that is scraped is in the README', async (t) => {
  const host = await start(t)
  const owner = await host.client('owner')
  await scrape(host, owner.sessionToken)
  const { types } = await scrape(host, owner.sessionToken)
  const text = await readFile(new URL('../grafana.json', import.meta.url), 'utf8')
  const dashboard = JSON.parse(text) as {
    panels: Array<{ title: string; targets?: Array<{ expr: string }> }>
    __inputs: object[]
  }
  const names = new Set(text.match(/\b(patchbay|process|nodejs)_[a-z0-9_]+/g))
  t.ok(names.size > 20)
  for (const name of names) t.ok(types.has(name.replace(/_(bucket|sum|count)$/, '')) || types.has(name), name)
  t.match(dashboard.__inputs, [{ name: 'DS_PROMETHEUS', type: 'datasource', pluginId: 'prometheus' }])
  for (const { title, targets } of dashboard.panels)
    for (const { expr } of targets ?? []) t.match(expr, /instance=~"\$instance"/, title)

  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  for (const name of types.keys()) t.ok(readme.includes(`\`${name}\``), `README: ${name}`)
})

void t.test('switched off it lets go of the observer, and switched on again it begins anew', async (t) => {
  const host = await start(t)
  const owner = await host.client('owner')
  const { series: first } = await scrape(host, owner.sessionToken)
  await owner.ask('host:disable', { id: 'metrics' })
  t.equal((await get(host, owner.sessionToken)).status, 503)
  await owner.ask('host:enable', { id: 'metrics' })
  const { series: second } = await scrape(host, owner.sessionToken)
  const since = 'patchbay_counting_since_timestamp_seconds'
  t.ok((second.get(since) ?? 0) > (first.get(since) ?? 0))
})
