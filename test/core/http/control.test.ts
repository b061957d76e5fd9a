import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { askDaemon, Control, controlPath } from '../../../core/http/control.ts'
import { temporary } from '../lifecycle/lab.ts'

void t.test('a daemon answers on a socket that only its user can reach', async (t) => {
  const dir = await temporary(t)
  await t.rejects(askDaemon(dir, { command: 'ping' }), { code: 'ENOENT' })
  const control = new Control()
  await control.open(dir, (request) => ({ request }))
  t.teardown(() => control.close())
  t.same(await askDaemon(dir, { command: 'x', more: [1] }), { request: { command: 'x', more: [1] } })
  t.equal((await stat(join(dir, 'control'))).mode & 0o777, 0o700)
})

void t.test('there is one daemon for a directory; one that died leaves room', async (t) => {
  const dir = await temporary(t)
  const [first, second] = [new Control(), new Control()]
  t.teardown(() => second.close())
  await first.open(dir, () => ({ pid: 42 }))
  await t.rejects(
    second.open(dir, () => ({})),
    { message: /^Patchbay runs already .* \(process 42\)\. Stop it first\.$/ },
  )
  first.close()
  await writeFile(controlPath(dir), 'what a crash left behind')
  await second.open(dir, () => ({ pid: 43 }))
  t.same(await askDaemon(dir, { command: 'ping' }), { pid: 43 })
})

void t.test('nonsense is answered with an error or cut off, and the daemon lives', async (t) => {
  const dir = await temporary(t)
  const control = new Control()
  await control.open(dir, () => {
    throw new Error('no such command')
  })
  t.teardown(() => control.close())
  t.same(await askDaemon(dir, { command: 'x' }), { error: 'no such command' })
  const garbage = connect(controlPath(dir)).setEncoding('utf8')
  garbage.write('garbage\n')
  const [answer] = await once(garbage, 'data')
  t.match(JSON.parse(String(answer)), { error: /JSON/ })
  const flood = connect(controlPath(dir))
  flood.on('error', () => undefined)
  flood.write('x'.repeat(10_000))
  await once(flood, 'close')
  t.same(await askDaemon(dir, { command: 'x' }), { error: 'no such command' })
})
