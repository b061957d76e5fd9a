import { createHash } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Place } from './daemon.ts'

async function placeFor(t: Test) {
  const place = await Place.create(t)
  const file = join(place.dataDir, 'route-tokens.json')
  const hashes = async () => JSON.parse(await readFile(file, 'utf8')) as Record<string, string>
  const token = async (...args: string[]) => {
    const program = place.run(['token', ...args])
    return { code: await program.exited, out: program.stdout, err: program.stderr }
  }
  return { place, file, hashes, token }
}

const hashOf = (token: string) => createHash('sha256').update(token).digest('base64url')

void t.test('token prints a random token alone, and keeps only its hash where only this user reads', async (t) => {
  const { file, hashes, token } = await placeFor(t)
  const { code, out, err } = await token('metrics')
  t.equal(code, 0)
  t.match(out, /^[\w-]{43}\n$/)
  t.equal(err, 'This token of metrics is shown only now.\n')
  t.same(await hashes(), { metrics: hashOf(out.trim()) })
  t.equal((await stat(file)).mode & 0o777, 0o600)
})

void t.test('a new token replaces the one before and leaves those of others', async (t) => {
  const { hashes, token } = await placeFor(t)
  const [first, other, second] = [await token('metrics'), await token('contract'), await token('metrics')]
  t.not(first.out, second.out)
  t.match(second.err, /The one before it is void\.\n$/)
  t.same(await hashes(), { metrics: hashOf(second.out.trim()), contract: hashOf(other.out.trim()) })
})

void t.test('--remove takes a token away, and says when there is none', async (t) => {
  const { hashes, token } = await placeFor(t)
  t.match(await token('metrics', '--remove'), { code: 1, out: '', err: 'metrics has no token.\n' })
  await token('metrics')
  await token('contract')
  t.match(await token('metrics', '--remove'), { code: 0, out: 'The token of metrics was taken away.\n' })
  t.same(Object.keys(await hashes()), ['contract'])
})

void t.test('beside a daemon, only a plugin whose routes take a token gets one', async (t) => {
  const { place, file, token } = await placeFor(t)
  await place.start()
  t.match(await token('metric'), {
    code: 1,
    out: '',
    err: /^metric is no plugin with a route that takes a token; there are: .*metrics/,
  })
  await t.rejects(stat(file), { code: 'ENOENT' })
  t.match(await token('metrics'), { code: 0, out: /^[\w-]{43}\n$/ })
})

void t.test('what is no id of a plugin is refused and nothing is written', async (t) => {
  const { file, token } = await placeFor(t)
  for (const args of [[], [''], ['../metrics'], ['Metrics'], ['__proto__'], ['metrics', 'contract'], ['m'.repeat(33)]])
    t.match(await token(...args), { code: 1, out: '', err: /^Usage: npx patchbay token <plugin> \[--remove \|/ }, args.join(' '))
  t.match(await token('metrics', '--forever'), { code: 1, out: '', err: /Unknown option '--forever'/ })
  await t.rejects(stat(file), { code: 'ENOENT' })
})

void t.test('an id that is also a property of every object has a token of its own', async (t) => {
  const { hashes, token } = await placeFor(t)
  t.match(await token('constructor', '--remove'), { code: 1, err: 'constructor has no token.\n' })
  const { out } = await token('constructor')
  t.same(await hashes(), { constructor: hashOf(out.trim()) })
})

void t.test('a file that is no JSON is left alone', async (t) => {
  const { place, file, token } = await placeFor(t)
  await mkdir(place.dataDir)
  await writeFile(file, '{"metrics":')
  t.match(await token('metrics'), { code: 1, out: '', err: /route-tokens\.json is not valid JSON\. Remove it/ })
  t.equal(await readFile(file, 'utf8'), '{"metrics":')
})

void t.test('for a plugin that goes by JSON Web Tokens it prints one of a subject, with roles and an end', async (t) => {
  const place = await Place.create(t, { plugins: { plugins: { studio: { enabled: true } } } })
  const token = async (...args: string[]) => {
    const program = place.run(['token', ...args])
    return { code: await program.exited, out: program.stdout, err: program.stderr }
  }
  const asked = ['studio', '--subject', 'alice', '--role', 'producer', '--role', 'admin', '--lifetime', '2h']
  t.match(await token(...asked), { code: 1, out: '', err: /^No daemon runs/ })
  await place.start()
  const { code, out, err } = await token(...asked)
  t.equal(code, 0)
  const claims = JSON.parse(Buffer.from(out.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
  t.match(claims, { iss: 'patchbay', aud: 'studio', sub: 'alice', role: ['producer', 'admin'], jti: /^[\da-f-]{36}$/ })
  t.ok(Math.abs(Number(claims.exp) - Number(claims.iat) - 7200) <= 1)
  t.match(err, /^It is for alice as producer, admin, until \d{4}-.*, and shown only now\.\n$/)
  t.match(await token('system', '--subject', 'alice'), { code: 1, err: /There is no plugin "system" that takes such tokens/ })
  t.match(await token('studio', '--subject', 'alice', '--lifetime', 'soon'), { code: 1, err: /A lifetime is a number and/ })
})
