import { readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Place } from './daemon.ts'

async function said(place: Place, ...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const program = place.run(args)
  return { code: await program.exited, out: program.stdout, err: program.stderr }
}

/** Logs in by a one-time link, as the page does. */
function redeem(link: string, address = '127.0.0.1'): Promise<number | undefined> {
  const { port, host, hash } = new URL(link)
  const headers = { host: host.replace('127.0.0.1', address), 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const sent = request({ host: address, port, path: '/login', method: 'POST', headers }, (response) =>
      resolve(response.resume().statusCode),
    )
    sent.on('error', reject).end(JSON.stringify({ code: hash.slice(1) }))
  })
}

void t.test('login prints a link that logs in once, from this machine alone; --lan also from private addresses', async (t) => {
  const place = await Place.create(t, { host: { address: '0.0.0.0' } })
  const none = await said(place, 'login')
  t.equal(none.code, 1)
  t.equal(none.err, `No daemon runs with the data directory ${place.dataDir}. Start it: npx patchbay start\n`)

  await place.start()
  const { out, code } = await said(place, 'login')
  t.equal(code, 0)
  t.match(out, /^http:\/\/127\.0\.0\.1:\d+\/login#\S+\n$/)
  const own = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)?.address
  const isPrivate = own !== undefined && /^(10|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(own)
  if (isPrivate) t.equal(await redeem(out.trim(), own), 401, 'not from another address')
  t.equal(await redeem(out.trim()), 200)
  t.equal(await redeem(out.trim()), 401)
  const lan = await said(place, 'login', '--lan')
  const [here = '', ...beyond] = lan.out.trim().split('\n')
  t.equal(beyond.length > 0, isPrivate, 'the link for every private address this machine has')
  if (isPrivate) t.equal(await redeem(here, own), 200)
  else t.equal(await redeem(here), 200)

  const wrong = await said(place, 'login', '--wan')
  t.equal(wrong.code, 1)
  t.match(wrong.err, /Unknown option '--wan'/)
})

void t.test('access lists and edits who may enter, and a daemon that runs hears of it', async (t) => {
  const place = await Place.create(t, { access: '{\n  // family\n  "users": {}\n}\n' })
  t.match(await said(place, 'access'), {
    code: 0,
    out: 'Nobody is on the list. Add yourself: npx patchbay access add <telegram id> owner\n',
  })
  const daemon = await place.start()
  await t.rejects(daemon.client(), { message: 'ACCESS_DENIED' })
  t.match(await said(place, 'access', 'add', '1000', 'owner'), { code: 0, out: 'Telegram user 1000 may enter as owner.\n' })
  const client = await until(() => daemon.client())
  const out = new Promise((resolve) => client.socket.once('disconnect', resolve))
  t.match(await said(place, 'access', 'list'), { out: '1000             owner\n' })
  t.match(await said(place, 'access', 'remove', '1000'), { code: 0, out: 'Telegram user 1000 may no longer enter.\n' })
  await out
  t.match(await readFile(join(place.configDir, 'access.json'), 'utf8'), /\/\/ family/)

  t.match(await said(place, 'access', 'remove', '1000'), { code: 1, err: '1000 is not on the list.\n' })
  t.match(await said(place, 'access', 'add', '7', 'king'), { code: 1, err: /there is no role "king"/ })
  t.match(await said(place, 'access', 'add', 'me'), { code: 1, err: /^Usage: npx patchbay access list/ })
})

void t.test('contract prints what one module exports, and says when that is not one contract', async (t) => {
  const place = await Place.create(t)
  const write = async (name: string, text: string) => {
    await writeFile(join(place.dir, name), text)
    return join(place.dir, name)
  }
  const code =
    "import { defineContract, Type } from 'patchbay/plugin'\nexport const wifi = defineContract({ id: 'wifi', settings: Type.Object({}) })\n"
  const { out } = await said(place, 'contract', await write('one.mjs', code))
  t.match(JSON.parse(out), { id: 'wifi', settings: { type: 'object' } })
  t.match(await said(place, 'contract', await write('none.mjs', 'export default null')), { code: 1, err: /exports 0 contracts/ })
  t.match(await said(place, 'contract'), { code: 1, err: 'Name the module that exports the contract.\n' })
})

void t.test('without a command, or with one it does not know, it says how it is used', async (t) => {
  const place = await Place.create(t)
  t.match(await said(place), { code: 0, out: /^Usage: patchbay <command>/ })
  t.match(await said(place, '--help'), { code: 0, out: /login \[--lan\]/ })
  t.match(await said(place, 'constructor'), { code: 64 })
})

/** Tries until it works: the daemon reads its files a moment later. */
async function until<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries === 50) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
