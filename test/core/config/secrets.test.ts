import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../../core/config/problem.ts'
import { readSecrets } from '../../../core/config/secrets.ts'

const token = '5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8'

void t.test('the token comes from the variable, else the named file, else the systemd credential', async (t) => {
  const dir = t.testdir({ named: `${token}named\n`, 'telegram-bot-token': `  ${token}credential\n` })
  const env = { TELEGRAM_BOT_TOKEN: ` ${token} `, TELEGRAM_BOT_TOKEN_FILE: join(dir, 'named'), CREDENTIALS_DIRECTORY: dir }
  t.same(await readSecrets(env), { botToken: token })
  t.same(await readSecrets({ ...env, TELEGRAM_BOT_TOKEN: '' }), { botToken: `${token}named` })
  t.same(await readSecrets({ CREDENTIALS_DIRECTORY: dir }), { botToken: `${token}credential` })
})

void t.test('without any of them, and with a credentials directory that holds no token, there is none', async (t) => {
  t.same(await readSecrets({}), {})
  t.same(await readSecrets({ CREDENTIALS_DIRECTORY: t.testdir() }), {})
})

void t.test(
  'what is not a token, a missing file and a pipe are refused with a sentence that does not tell the content',
  async (t) => {
    const dir = t.testdir({ wrong: 'hunter2', 'telegram-bot-token': `${token} ${token}` })
    execFileSync('mkfifo', [join(dir, 'pipe')])
    const refusals: Array<[env: Record<string, string>, sentence: RegExp]> = [
      [{ TELEGRAM_BOT_TOKEN: 'hunter2' }, /^TELEGRAM_BOT_TOKEN: this is not a bot token/],
      [{ TELEGRAM_BOT_TOKEN_FILE: join(dir, 'wrong') }, /^the file of TELEGRAM_BOT_TOKEN_FILE: this is not a bot token/],
      [{ TELEGRAM_BOT_TOKEN_FILE: join(dir, 'none') }, /^the file of TELEGRAM_BOT_TOKEN_FILE: there is no such file$/],
      [{ TELEGRAM_BOT_TOKEN_FILE: token }, /there is no such file$/],
      [{ TELEGRAM_BOT_TOKEN_FILE: join(dir, 'pipe') }, /not a regular file/],
      [{ CREDENTIALS_DIRECTORY: dir }, /^the file of the credential telegram-bot-token: this is not a bot token/],
    ]
    for (const [env, sentence] of refusals) {
      const error: unknown = await readSecrets(env).catch((error: unknown) => error)
      if (!(error instanceof ConfigError)) return t.fail(`no ConfigError for ${sentence}`)
      t.match(error.message, sentence)
      t.notMatch(error.message, /hunter2|AAH5/)
    }
  },
)

void t.test('the URL of the store comes the same way, and is not told when it is wrong', async (t) => {
  const url = 'postgresql://patchbay:hunter2@db.lan/patchbay?sslmode=require'
  const dir = t.testdir({ named: `${url}&named\n`, 'store-url': `${url}&credential` })
  const env = { PATCHBAY_STORE_URL: url, PATCHBAY_STORE_URL_FILE: join(dir, 'named'), CREDENTIALS_DIRECTORY: dir }
  t.same(await readSecrets(env), { storeUrl: url })
  t.same(await readSecrets({ ...env, PATCHBAY_STORE_URL: '' }), { storeUrl: `${url}&named` })
  const storeUrl = 'postgresql://db.lan/patchbay'
  const redisUrl = 'redis://127.0.0.1'
  t.same(await readSecrets({ PATCHBAY_REDIS_URL: redisUrl, PATCHBAY_STORE_URL: storeUrl }), { redisUrl, storeUrl })
  await t.rejects(readSecrets({ PATCHBAY_REDIS_URL: redisUrl }), {
    message: 'PATCHBAY_REDIS_URL: several hosts keep what plugins store in one PostgreSQL; set PATCHBAY_STORE_URL too.',
  })
  await t.rejects(readSecrets({ PATCHBAY_REDIS_URL: 'http://secret' }), {
    message: /^PATCHBAY_REDIS_URL: this is no URL of a Redis/,
  })
  t.same(await readSecrets({ CREDENTIALS_DIRECTORY: dir }), { storeUrl: `${url}&credential` })
  for (const wrong of ['mysql://patchbay:hunter2@db.lan/patchbay', 'postgresql://hunter2:a b@[', 'hunter2'])
    await t.rejects(readSecrets({ PATCHBAY_STORE_URL: wrong }), {
      message: /^PATCHBAY_STORE_URL: this is no URL of a PostgreSQL(?!.*hunter2)/,
    })
})
