import t from 'tap'
import { Place, reached } from './daemon.ts'

async function said(place: Place, ...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const program = place.run(args)
  return { code: await program.exited, out: program.stdout, err: program.stderr }
}

const plugins = { plugins: { lamp: { enabled: true }, system: { enabled: false } } }

void t.test('plugins lists every plugin with its state, from the disk if no daemon runs', async (t) => {
  const place = await Place.create(t, { plugins })
  await place.addPlugin('lamp', { description: 'An LED', needs: { devices: ['/nowhere/led'] } }, '')
  await place.addPlugin('broken', { colour: 'red' }, '')
  const { code, out } = await said(place, 'plugins')
  t.equal(code, 0)
  t.match(out, /^PLUGIN +STATE +VERSION +WHAT IT IS/)
  t.match(out, /^broken +failed +1\.0\.0 .*colour must be/m)
  t.match(out, /^host +not running +Patchbay /m)
  t.match(out, /^lamp +not running +1\.0\.0 +An LED$/m)
  t.match(out, /^system +disabled +Patchbay /m)
  t.match(out, /\nNo daemon runs\. Start it: npx patchbay start\n$/)

  await reached(await (await place.start()).client(), 'lamp', 'unavailable')
  const asked = await said(place, 'plugins')
  t.match(asked.out, /^host +running +Patchbay /m)
  t.match(asked.out, /^lamp +unavailable +1\.0\.0 +There is no device \/nowhere\/led\. \(partly\)$/m)
  t.notMatch(asked.out, /No daemon runs/)
  const rows = JSON.parse((await said(place, 'plugins', '--json')).out) as object[]
  t.match(
    rows.find((row) => 'id' in row && row.id === 'lamp'),
    { state: 'unavailable', version: '1.0.0', builtin: false, reason: /no device/ },
  )
})

void t.test('sessions lists who is logged in, and ends a session', async (t) => {
  const place = await Place.create(t, { plugins })
  t.match(await said(place, 'sessions'), { code: 1, err: /^No daemon runs with the data directory / })
  const daemon = await place.start()
  t.match(await said(place, 'sessions'), { code: 0, out: 'Nobody is logged in.\n' })
  const client = await daemon.client()
  const { out } = await said(place, 'sessions')
  t.match(out, /^SESSION +USER +NAME +STATE\n\S+ +telegram:1000 +.* connected\n$/)
  const [session] = JSON.parse((await said(place, 'sessions', '--json')).out) as Array<{ id: string }>
  t.notMatch(JSON.stringify(session), client.sessionToken)

  t.match(await said(place, 'sessions', 'revoke', 'none'), { code: 1, err: /^There is no session "none"/ })
  t.match(await said(place, 'sessions', 'revoke'), { code: 2, err: /^Usage: npx patchbay sessions/ })
  t.match(await said(place, 'sessions', 'end', 'x'), { code: 2 })
  const refused = client.next('error')
  const closed = new Promise((resolve) => client.socket.once('disconnect', resolve))
  t.match(await said(place, 'sessions', 'revoke', session?.id as string), { code: 0, out: /^The session has ended/ })
  t.match(await refused, { code: 'SESSION_EXPIRED' })
  await closed
  t.match(await said(place, 'sessions'), { out: 'Nobody is logged in.\n' })
})
