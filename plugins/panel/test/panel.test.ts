import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { startTestHost } from '../../../core/testing/host.ts'

const start = async (t: Test, options: Parameters<typeof startTestHost>[0] = {}) => {
  const host = await startTestHost({ builtins: ['panel'], ...options })
  t.teardown(() => host.stop())
  await host.reached('panel', 'running')
  return host
}

interface Got {
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}
/** fetch would unpack what is compressed. */
const get = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
  new Promise<Got>((resolve, reject) => {
    const asked = request(url, { headers, method }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }))
    })
    asked.on('error', reject).end()
  })

void t.test('the first page is for anybody, and its policy lets nothing in but itself', async (t) => {
  const host = await start(t)
  const { status, headers, body } = await get(`${host.url}/`)
  t.equal(status, 200)
  t.match(headers, {
    'content-type': /^text\/html/,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  })
  const policy = String(headers['content-security-policy'])
  t.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; .*frame-ancestors https:\/\/web\.telegram\.org;/)
  t.notMatch(policy, /unsafe|\*/)
  t.equal(headers['set-cookie'], undefined)
  t.notMatch(body.toString(), / (on\w+|style)=|<script>|<style|https?:/, 'nothing that the policy would refuse')
  t.equal((await get(`${host.url}/`, {}, 'HEAD')).body.length, 0)
  for (const [path, is] of [
    ['/panel', 404],
    ['/panel/', 404],
    ['/panel/index.html', 404],
    ['/panel/../main.js', 404],
    ['/index.html', 404],
    ['/nothing', 404],
  ] as const)
    t.equal((await get(`${host.url}${path}`)).status, is, path)
  t.equal((await get(`${host.url}/`, { host: 'evil.example' })).status, 403)
})

void t.test('what has its content in its name is kept for ever, and comes compressed to who takes it so', async (t) => {
  const host = await start(t)
  const page = (await get(`${host.url}/`)).body.toString()
  const path = /src="(\/panel\/assets\/[^"]+\.js)"/.exec(page)?.[1]
  const ask = (encoding: string, headers: Record<string, string> = {}) =>
    get(`${host.url}${path}`, { 'accept-encoding': encoding, ...headers })
  const [bare, gzip, brotli] = [await ask('identity'), await ask('deflate, gzip;q=0.5'), await ask('gzip, deflate, br')]
  t.match(bare.headers, {
    'cache-control': /immutable/,
    vary: 'Accept-Encoding',
    'content-encoding': undefined,
    'content-type': /^text\/javascript/,
  })
  t.equal(gzip.headers['content-encoding'], 'gzip')
  t.equal(brotli.headers['content-encoding'], 'br')
  t.ok(gunzipSync(gzip.body).equals(bare.body))
  t.ok(brotliDecompressSync(brotli.body).equals(bare.body))
  t.equal((await ask('br;q=0, gzip;q=0.0')).headers['content-encoding'], undefined)
  const again = await ask('br', { 'if-none-match': String(brotli.headers.etag) })
  t.strictSame([again.status, again.body.length], [304, 0])
  t.equal((await ask('gzip', { 'if-none-match': String(brotli.headers.etag) })).status, 200)
})

void t.test('with the plugin goes the app', async (t) => {
  const host = await start(t)
  const owner = await host.client('owner')
  t.match(await owner.ask('host:disable', { id: 'panel' }), { success: true, state: 'disabled' })
  t.equal((await get(`${host.url}/`)).status, 404)
  t.match(await owner.ask('host:enable', { id: 'panel' }), { success: true, state: 'running' })
  t.equal((await get(`${host.url}/`)).status, 200)
})

void t.test('it tells what every module takes and says, and who asks', async (t) => {
  const host = await start(t, { builtins: ['panel', 'system'] })
  const viewer = await host.client('viewer', 7)
  const heard = viewer.next<Array<{ id: string; commands: Array<{ name: string; role: string }> }>>('panel:modules')
  t.match(await viewer.ask('module:subscribe', { module: 'panel' }), { success: true })
  const modules = await heard
  t.match(
    modules.find(({ id }) => id === 'system'),
    {
      builtin: true,
      isReachable: true,
      subscribeRole: 'viewer',
      commands: [{ name: 'system:reboot', role: 'owner', timeoutMs: 5000 }, {}],
      events: [{ name: 'system:stats', retained: true, payload: { type: 'object' } }, {}, {}],
    },
  )
  t.ok(
    modules.some(({ id }) => id === 'wifi'),
    'one that is switched off too',
  )
  t.strictSame(await viewer.ask('panel:me'), { success: true, userId: 'telegram:7', roles: ['viewer'] })
})

void t.test('the texts of every language have the same keys and the same gaps to fill', async (t) => {
  const plugins = new URL('../../', import.meta.url).pathname
  const folders = (await readdir(plugins)).map((id) => (id === 'panel' ? 'panel/app' : `${id}/panel`))
  const read = async (folder: string, language: string) =>
    JSON.parse(await readFile(`${plugins}${folder}/messages/${language}.json`, 'utf8')) as Record<string, string>
  const gaps = (text = '') => [...text.matchAll(/\{\w+\}/g)].map(([gap]) => gap).sort()
  const languages = (await readdir(`${plugins}panel/app/messages`)).map((file) => file.replace('.json', ''))
  t.ok(languages.includes('en') && languages.length > 1)
  for (const folder of folders.filter((folder) => existsSync(`${plugins}${folder}/messages`)))
    for (const language of languages) {
      const [english, other] = [await read(folder, 'en'), await read(folder, language)]
      // What the machine says, by its code, and what modules are is translated where a language has it; English has it from the machine.
      const keys = (texts: object) =>
        Object.keys(texts)
          .filter((key) => !/^code\.|(^|\.)description$/.test(key))
          .sort()
      t.strictSame(keys(other), keys(english), `${folder} ${language}`)
      for (const [key, text] of Object.entries(english))
        t.strictSame(gaps(other[key]), gaps(text), `${folder} ${language} ${key}`)
    }
})

void t.test('every text that a panel shows is there, and every text that is there is shown', async (t) => {
  const plugins = new URL('../../', import.meta.url).pathname
  const english = JSON.parse(await readFile(`${plugins}panel/app/messages/en.json`, 'utf8')) as object
  const known = new Set(Object.keys(english))
  const used = new Set<string>()
  const sources: string[] = []
  for (const id of await readdir(plugins)) {
    const folder = id === 'panel' ? 'panel/app/src' : `${id}/panel`
    if (!existsSync(plugins + folder)) continue
    if (id !== 'panel')
      for (const key of Object.keys(JSON.parse(await readFile(`${plugins}${folder}/messages/en.json`, 'utf8')) as object))
        known.add(`${id}.${key}`)
    for (const file of await readdir(plugins + folder))
      if (/\.tsx?$/.test(file)) sources.push(await readFile(`${plugins}${folder}/${file}`, 'utf8'))
  }
  const all = sources.join('\n')
  for (const [, key = ''] of all.matchAll(/\bt\('([^']+)'/g)) {
    t.ok(known.has(key), `${key} has a text`)
    used.add(key)
  }
  // Keys that are put together, such as a state's: their beginning is in the code.
  const beginnings = [...all.matchAll(/`([a-z]+\.(?:[\w]+\.)*)\$\{/g)].map(([, beginning = '']) => beginning)
  const isMentioned = (key: string) =>
    used.has(key) || all.includes(`'${key}'`) || beginnings.some((one) => key.startsWith(one)) || key.endsWith('.title')
  for (const key of known) t.ok(isMentioned(key), `${key} is used`)
})
