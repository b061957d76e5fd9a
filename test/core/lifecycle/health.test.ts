import t from 'tap'
import { askDaemon } from '../../../core/http/control.ts'
import { startWith } from '../process/package.ts'

void t.test('what a plugin costs and leaves unanswered is told on /plugins and to the command line', async (t) => {
  const contract = { id: 'lamp', commands: { 'lamp:wait': { role: 'viewer' as const, timeoutMs: 60_000 } } }
  const host = await startWith(t, contract, "ctx.handle('lamp:wait', () => new Promise(() => {}))")
  const client = await host.client('owner')
  await host.reached('lamp', 'running')
  client.socket.emit('lamp:wait')
  await client.ask('module:subscribe', { module: 'lamp' })
  const expected = {
    restarts: 0,
    failures: 0,
    unanswered: 1,
    process: { pid: Number, cpuS: Number, rss: Number, ownMemory: Number },
  }
  const headers = { authorization: `Bearer ${client.sessionToken}` }
  const { plugins } = (await (await fetch(`${host.url}/plugins`, { headers })).json()) as { plugins: Array<{ id: string }> }
  t.match(
    plugins.find(({ id }) => id === 'lamp'),
    expected,
  )
  t.notOk('process' in (plugins.find(({ id }) => id === 'host') as object), 'nobody can tell what a part of a process costs')
  const answer = (await askDaemon(host.dataDir, { command: 'plugins' })) as {
    plugins: Array<{ id: string; process: { rss: number } }>
  }
  const lamp = answer.plugins.find(({ id }) => id === 'lamp')
  t.match(lamp, expected)
  t.ok(Number(lamp?.process.rss) > 10_000_000)
})
