import { performance } from 'node:perf_hooks'
import t from 'tap'
import { expose } from '../driver/exposition.ts'
import { watchGarbage } from '../driver/garbage.ts'
import { loadFamilies } from '../driver/load.ts'
import { watchLoop } from '../driver/loop.ts'
import { processFamilies } from '../driver/process.ts'
import { Tally } from '../driver/tally.ts'
import { WhileAsked } from '../driver/while-asked.ts'
import { parse } from './exposition.ts'

void t.test('commands are counted by result, and their times fall into buckets that add up', async (t) => {
  const tally = new Tally()
  for (const [code, ms] of [
    ['OK', 0.4],
    ['OK', 1],
    ['OK', 80],
    ['TIMEOUT', 60_000],
  ] as const)
    tally.command({ module: 'wifi', command: 'wifi:connect', code, ms })
  const { series } = parse(expose(tally.families()))
  const of = (name: string, labels = '') => series.get(`${name}{module="wifi",command="wifi:connect"${labels}}`)
  t.equal(of('patchbay_commands_total', ',code="OK"'), 3)
  t.equal(of('patchbay_commands_total', ',code="TIMEOUT"'), 1)
  const bucket = (le: string) => of('patchbay_command_duration_seconds_bucket', `,le="${le}"`)
  t.same(['0.001', '0.005', '0.1', '30', '+Inf'].map(bucket), [2, 2, 3, 3, 4], 'a bound belongs to its bucket')
  t.equal(of('patchbay_command_duration_seconds_count'), 4)
  t.ok(Math.abs((of('patchbay_command_duration_seconds_sum') ?? 0) - 60.0814) < 1e-9)
})

void t.test('events are counted for each client that got them, others for each that waits', async (t) => {
  const tally = new Tally()
  tally.delivered('system', 'system:stats', 10, 3)
  tally.delivered('system', 'system:stats', 10, 0)
  tally.cutOff()
  tally.refused('AUTH_INVALID')
  tally.refused('AUTH_INVALID')
  const { series } = parse(expose(tally.families()))
  t.equal(series.get('patchbay_events_sent_total{module="system",event="system:stats"}'), 17)
  t.equal(series.get('patchbay_events_held_total{module="system",event="system:stats"}'), 3)
  t.equal(series.get('patchbay_clients_cut_off_total'), 1)
  t.equal(series.get('patchbay_refusals_total{code="AUTH_INVALID"}'), 2)
})

void t.test('however many names come, there is a bound to the series, and nothing goes uncounted', async (t) => {
  const tally = new Tally()
  for (let i = 0; i < 5000; i++) {
    tally.command({ module: i % 2 ? 'other' : `m${i}`, command: `c${i}`, code: `CODE_${i}`, ms: 1 })
    tally.command({ module: 'wifi', command: 'wifi:connect', code: `CODE_${i}`, ms: 1 })
    tally.delivered('wifi', `wifi:${i}`, 1, 0)
    tally.refused(`CODE_${i}`)
  }
  const { series } = parse(expose(tally.families()))
  const total = (name: string) => {
    const found = [...series].filter(([key]) => key.startsWith(`${name}{`))
    return { series: found.length, sum: found.reduce((sum, [, value]) => sum + value, 0) }
  }
  t.same(total('patchbay_command_duration_seconds_count'), { series: 1001, sum: 10_000 })
  t.same(total('patchbay_events_sent_total'), { series: 1001, sum: 5000 })
  t.same(total('patchbay_refusals_total'), { series: 65, sum: 5000 })
  const commands = total('patchbay_commands_total')
  t.equal(commands.sum, 10_000)
  t.ok(commands.series <= 999 + 65 + 65, `${commands.series}`)
})

void t.test('a label may be any text', async (t) => {
  const id = 'a"b\\c\nd'
  const text = expose([{ name: 'x', type: 'gauge', help: 'back\\slash\nline', samples: [{ labels: { id }, value: 1 }] }])
  t.equal(text, '# HELP x back\\\\slash\\nline\n# TYPE x gauge\nx{id="a\\"b\\\\c\\nd"} 1\n')
  t.same([...parse(text).series.values()], [1])
})

void t.test('two packages that claim one id are one series each', async (t) => {
  const plugin = { id: 'lamp', version: '1.0.0', restarts: 1, failures: 2, unanswered: 3 }
  const plugins = [
    { ...plugin, state: 'running' as const, process: { cpuS: 1.5, rss: 4096, ownMemory: 1024, loopDelayMs: 20, waiting: 7 } },
    { ...plugin, state: 'failed' as const },
    { ...plugin, id: 'host', state: 'running' as const },
  ]
  const { series } = parse(expose(loadFamilies({ clients: 3, sessions: 2, subscriptions: { lamp: 1 }, plugins })))
  t.equal(series.get('patchbay_plugin_state{plugin="lamp",state="running"}'), 1)
  t.equal(series.get('patchbay_plugin_state{plugin="lamp",state="failed"}'), 1)
  t.equal(series.get('patchbay_plugin_state{plugin="lamp",state="disabled"}'), 0)
  t.equal(series.get('patchbay_plugin_failures_total{plugin="lamp"}'), 4)
  t.equal(series.get('patchbay_plugin_commands_unanswered{plugin="lamp"}'), 6)
  t.equal(series.get('patchbay_plugin_cpu_seconds_total{plugin="lamp"}'), 1.5)
  t.equal(series.get('patchbay_plugin_resident_memory_bytes{plugin="lamp"}'), 4096)
  t.equal(series.get('patchbay_plugin_own_memory_bytes{plugin="lamp"}'), 1024)
  t.equal(series.get('patchbay_plugin_eventloop_lag_seconds{plugin="lamp"}'), 0.02)
  t.equal(series.get('patchbay_plugin_messages_waiting{plugin="lamp"}'), 7)
  t.notOk(series.has('patchbay_plugin_cpu_seconds_total{plugin="host"}'), 'what runs in the host has none of its own')
  t.equal(series.get(`patchbay_build_info{version="1.0.0",node_version="${process.version}"}`), 1)
})

void t.test('the process is told as the kernel and Node tell it', async (t) => {
  const { series } = parse(expose(await processFamilies()))
  const of = (name: string) => series.get(name) ?? Number.NaN
  t.ok(of('process_cpu_seconds_total') > 0)
  t.ok(of('process_resident_memory_bytes') > of('nodejs_heap_size_used_bytes'))
  t.ok(of('process_open_fds') > 2 && of('process_open_fds') < of('process_max_fds'))
  t.ok(Math.abs(of('process_start_time_seconds') - performance.timeOrigin / 1000) < 2)
  t.ok(of('nodejs_eventloop_active_seconds_total') <= of('process_uptime_seconds'))
})

void t.test('a loop that is held up shows it once, a fresh watch shows nothing', async (t) => {
  const loop = watchLoop()
  t.teardown(() => loop.close())
  const read = () => parse(expose(loop.families())).series.get('nodejs_eventloop_lag_max_seconds')
  t.equal(read(), undefined, 'no samples, no value')
  // A reading starts Node's clock anew, so a sample comes before the hold-up, and one after it.
  const samples = () => new Promise((resolve) => setTimeout(resolve, 200))
  await samples()
  const end = performance.now() + 300
  while (performance.now() < end);
  await samples()
  const held = read() ?? 0
  t.ok(held > 0.2 && held < 5, `${held}`)
})

void t.test('garbage collections are counted until the watch ends', async (t) => {
  const garbage = watchGarbage()
  const minor = () => parse(expose(garbage.families())).series.get('nodejs_gc_duration_seconds_count{kind="minor"}') ?? 0
  // Node tells of them in a later turn of the event loop.
  const turns = async () => {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  const litter = () => Array.from({ length: 1e6 }, (_, index) => ({ index })).length
  while (minor() === 0) {
    litter()
    await turns()
  }
  garbage.close()
  const before = minor()
  litter()
  await turns()
  t.equal(minor(), before)
})

void t.test('what is asked for begins once, ends in silence, and begins anew', async (t) => {
  let [begun, ended] = [0, 0]
  let silence = () => {}
  const asked = new WhileAsked(20, () => {
    const number = ++begun
    return {
      number,
      close: () => {
        ended++
        silence()
      },
    }
  })
  const quiet = () => new Promise<void>((resolve) => (silence = resolve))
  // The timer alone does not keep the process up.
  const up = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(up))
  const first = quiet()
  t.equal(asked.ask().number, 1)
  t.equal(asked.ask().number, 1)
  await first
  t.equal(asked.ask().number, 2)
  asked.close()
  asked.close()
  t.same([begun, ended], [2, 2], 'and closing ends it for good')
  t.throws(() => asked.ask(), { message: 'asked after its end' })
})
