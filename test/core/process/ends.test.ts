import t from 'tap'
import { hear } from '../wire/lab.ts'
import { body, contract, isAlive, pidOf } from './obedient.ts'
import { startWith } from './package.ts'

t.setTimeout(120_000)

const ends = [
  { what: 'exits', code: 'process.exit(3)', reason: 'Its process ended with exit code 3.' },
  { what: 'is killed', code: "process.kill(process.pid, 'SIGSEGV')", reason: 'Its process was ended by SIGSEGV.' },
  {
    what: 'throws in a timer',
    code: "setTimeout(() => { throw new Error('tick') })",
    reason: 'An exception nobody caught: tick',
  },
  { what: 'rejects unhandled', code: "void Promise.reject('a text')", reason: 'An exception nobody caught: a text' },
  {
    what: 'loops without end',
    code: 'setTimeout(() => { for (;;); })',
    reason: 'Its process did not answer for 3 s and was ended.',
  },
  {
    what: 'fills its heap',
    code: 'const all = []; for (;;) all.push(new Array(1000).fill({}))',
    reason: 'It used more than 64 MB of memory and was ended.',
  },
  {
    what: 'takes memory beside its heap',
    code: 'globalThis.all = Buffer.alloc(100 * 1024 * 1024, 1)',
    reason: 'It used more than 64 MB of memory and was ended.',
  },
  {
    what: 'takes memory until it gets no more, which is an exception',
    code: 'const all = []; setTimeout(() => { for (;;) all.push(Buffer.alloc(16e6, 1)) })',
    reason: 'It used more than 64 MB of memory and was ended.',
  },
  { what: 'says that it broke', code: "ctx.fail('unplugged')", reason: 'unplugged' },
]

void t.test(
  'however it ends: who waits is answered, subscribers are told why once, and events flow again by themselves',
  async (t) => {
    const host = await startWith(t, contract, body, { pace: { retryMs: 5, silenceMs: 3000 } })
    const entry = { enabled: true, memoryMb: 64 }
    await host.writeConfig('plugins', { plugins: { own: entry } })
    const [client, owner] = [await host.client('viewer'), await host.client('owner')]
    for (const { what, code, reason } of ends) {
      await owner.ask('host:restart', { id: 'own' })
      await host.reached('own', 'running')
      await client.ask('module:subscribe', { module: 'own' })
      const pid = await pidOf(client)
      const heard = hear(client)
      const waiting = client.ask('own:wait')
      void client.ask('own:do', code)
      t.match(await waiting, { success: false, code: 'MODULE_FAILED' }, what)
      await client.next('own:tick')
      const told = heard.filter(([event, error]) => event === 'error' && !error.event)
      t.same(told, [['error', { module: 'own', code: 'MODULE_FAILED', message: reason }]], what)
      t.not(await pidOf(client), pid, what)
      t.notOk(isAlive(pid), what)
      await client.ask('module:unsubscribe', { module: 'own' })
      client.socket.offAny()
    }
    t.equal(host.host.status().find(({ id }) => id === 'own')?.state, 'running')
  },
)
