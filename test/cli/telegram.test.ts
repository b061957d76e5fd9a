import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { botToken, Place } from './daemon.ts'

interface Asked {
  readonly path: string
  readonly body: { readonly menu_button?: { readonly web_app: { readonly url: string } } }
}

/** A server that speaks the calls of the Bot API that are used, for the bot of the tests. */
async function botApi(t: Test, more: Record<string, object> = {}) {
  const asked: Asked[] = []
  let button: object = { type: 'default' }
  const text = async (request: IncomingMessage) => Buffer.concat(await request.toArray()).toString()
  const server = createServer((request, response) => {
    void text(request).then((said) => {
      const path = request.url ?? ''
      const body = JSON.parse(said) as Asked['body']
      asked.push({ path, body })
      const method = path.startsWith(`/bot${botToken}/`) ? path.split('/').at(-1) : undefined
      if (method === 'setChatMenuButton' && body.menu_button) button = body.menu_button
      const results: Record<string, unknown> = {
        getMe: { id: 1, is_bot: true, username: 'home_bot' },
        setChatMenuButton: true,
        getChatMenuButton: button,
      }
      const reply =
        method === undefined
          ? { ok: false, error_code: 401, description: 'Unauthorized' }
          : (more[method] ?? { ok: true, result: results[method] })
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify(reply))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { asked, api: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function lab(t: Test, config: Record<string, unknown> = {}, token = botToken) {
  const place = await Place.create(t, config)
  delete place.env['TELEGRAM_BOT_TOKEN']
  const file = join(place.dir, 'token')
  await writeFile(file, `${token}\n`, { mode: 0o600 })
  const setup = async (...args: string[]) => {
    const program = place.run(['telegram', 'setup', ...args])
    return { code: await program.exited, out: program.stdout, err: program.stderr }
  }
  return {
    place,
    setup,
    file,
    /** Without what an editor of the file is told. */
    async host(): Promise<object> {
      const { $schema, ...said } = JSON.parse(
        await readFile(join(place.configDir, 'host.json'), 'utf8').catch(() => '{}'),
      ) as Record<string, unknown>
      return said
    },
  }
}
const url = 'https://pi.example'

void t.test('a bot is linked: checked, given its button, and known to host.json by its id alone', async (t) => {
  const { asked, api } = await botApi(t)
  const { setup, file, host, place } = await lab(t)
  const { code, out, err } = await setup('--url', `${url}/`, '--token-file', file, '--api', api)
  t.equal(err, '')
  t.equal(code, 0)
  t.match(
    out,
    /The bot is @home_bot\.\n.*kept nowhere\.\nIts menu button opens https:\/\/pi\.example\.\nMissing: the daemon does not run: /,
  )
  t.strictSame(await host(), { publicUrl: url, telegram: { botId: Number(botToken.split(':')[0]) } })
  t.match(asked.find(({ path }) => path.endsWith('/setChatMenuButton'))?.body, {
    menu_button: { type: 'web_app', web_app: { url } },
  })
  const secret = botToken.split(':')[1] as string
  for (const name of ['host', 'access', 'plugins'])
    t.notMatch(await readFile(join(place.configDir, `${name}.json`), 'utf8'), secret)
  t.notMatch(out + err, secret)
})

void t.test('while the daemon runs it is told whether the URL leads to it, and that nobody is owner', async (t) => {
  const { api } = await botApi(t)
  const { setup, file, place } = await lab(t, { access: { users: {} } })
  await place.start()
  // A name that leads nowhere, by the standard.
  const { out } = await setup('--url', 'https://pi.invalid', '--token-file', file, '--api', api)
  t.match(out, /Missing: https:\/\/pi\.invalid is not reached from here \(\w+\)\./)
  t.match(out, /Missing: Nobody is owner yet: /)
})

void t.test('a URL that Telegram would not open is refused before anybody is asked', async (t) => {
  const { asked, api } = await botApi(t)
  const { setup, file, host } = await lab(t)
  for (const [wrong, why] of [
    ['http://pi.example', /over HTTPS only/],
    ['https://localhost', /the phone itself/],
    ['https://127.0.0.1', /the phone itself/],
    ['https://192.168.1.4', /local network only/],
    ['https://pi.example/app', /give https:\/\/pi\.example\./],
    ['pi', /is no URL/],
  ] as const)
    t.match(await setup('--url', wrong, '--token-file', file, '--api', api), { code: 1, out: '', err: why }, wrong)
  t.strictSame(asked, [])
  t.strictSame(await host(), {})
})

void t.test('what is no token, and what Telegram refuses, is told without the token', async (t) => {
  const { api } = await botApi(t, { setChatMenuButton: { ok: false, description: 'Bad Request: BUTTON_URL_INVALID' } })
  const nothing = await lab(t, {}, 'secret-that-is-none')
  const none = await nothing.setup('--url', url, '--token-file', nothing.file, '--api', api)
  t.match(none, { code: 1, err: /This is not a bot token/ })
  t.notMatch(none.err, 'secret-that-is-none')
  const stranger = await lab(t, {}, '987654321:AAAAAAAAAAAAAAAA')
  const unknown = await stranger.setup('--url', url, '--token-file', stranger.file, '--api', api)
  t.match(unknown, { code: 1, err: /Telegram refused getMe: Unauthorized/ })
  t.notMatch(unknown.err, 'AAAAAAAA')
  t.strictSame(await stranger.host(), {}, 'nothing is written for a bot that Telegram does not know')
  const own = await lab(t)
  t.match(await own.setup('--url', url, '--token-file', own.file, '--api', api), { code: 1, err: /BUTTON_URL_INVALID/ })
  const silent = await own.setup('--url', url, '--token-file', own.file, '--api', 'http://127.0.0.1:9')
  t.match(silent, { code: 1, err: /did not answer getMe/ })
  t.notMatch(silent.err, botToken.split(':')[1] as string)
  t.match(await own.setup('--url', url, '--api', api), { code: 1, err: /Nobody is here to be asked/ })
})
