import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../../core/auth/identity.ts'
import { type TelegramOptions, verifyInitData } from '../../../core/auth/telegram.ts'

interface Vector {
  name: string
  botToken: string
  initData: string
  verdict: 'valid' | 'invalid'
}
const { vectors } = JSON.parse(readFileSync(new URL('telegram-vectors.json', import.meta.url), 'utf8')) as { vectors: Vector[] }
const vector = (name: string) => vectors.find((one) => one.name === name) as Vector
const ada = '{"id":42,"first_name":"Ada"}'
const token = '42:TEST'
const authDate = 1_800_000_000
const options: TelegramOptions = { botToken: token, environment: 'production', maxAgeS: 3600, now: authDate * 1000 }

/** Init data as Telegram would make it for our bot. */
function sign(fields: Record<string, string>, botToken = token): string {
  const lines = Object.keys(fields)
    .sort()
    .map((key) => `${key}=${fields[key]}`)
  const secret = createHmac('sha256', 'WebAppData').update(botToken).digest()
  const hash = createHmac('sha256', secret).update(lines.join('\n')).digest('hex')
  return Object.entries({ ...fields, hash })
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    .join('&')
}

const signUser = (user: unknown) => sign({ auth_date: String(authDate), user: JSON.stringify(user) })

function refusal(initData: unknown, changes: Partial<TelegramOptions> = {}): Refusal {
  try {
    verifyInitData(initData, { ...options, ...changes })
  } catch (error) {
    if (error instanceof Refusal && error.code === 'AUTH_INVALID') return error
    throw error
  }
  throw new Error('it was accepted')
}

const dateOf = ({ initData }: Vector) => Number(/auth_date=(\d+)/.exec(initData)?.[1] ?? 0) * 1000

for (const one of vectors)
  void t.test(`the vector ${one.name} is ${one.verdict}`, async (t) => {
    const changes = { botToken: one.botToken, now: dateOf(one) }
    if (one.verdict === 'invalid') t.match(refusal(one.initData, changes).data.reason, /\.$/)
    else t.equal(verifyInitData(one.initData, { ...options, ...changes }).signedAt, dateOf(one))
  })

void t.test('a user, claims and the time of signing come out of init data', async (t) => {
  const { initData, botToken } = vector('V7')
  t.strictSame(verifyInitData(initData, { ...options, botToken, now: dateOf(vector('V7')) }), {
    userId: 'telegram:123456789',
    user: {
      id: 123456789,
      firstName: 'John',
      lastName: 'Doe',
      username: 'johndoe',
      photoUrl: 'https://example.com/avatar/4843.jpg',
      languageCode: 'en',
    },
    claims: { authDate: 1749945600, startParam: 'referral123', chatType: 'group' },
    signedAt: 1749945600_000,
  })
})

void t.test('with only a bot id, init data is checked by the Ed25519 key of the environment', async (t) => {
  const { initData } = vector('V2')
  const { botToken: _, ...rest } = { ...options, now: dateOf(vector('V2')), botId: '7342037359' }
  const ed25519 = (data: string, changes: Partial<TelegramOptions> = {}) => verifyInitData(data, { ...rest, ...changes })
  const identity = ed25519(initData)
  t.equal(identity.userId, 'telegram:279058397')
  t.equal(identity.user.firstName, 'Vladislav + - ? /')
  t.equal(ed25519(initData.replace(/&hash=.*/, '')).userId, 'telegram:279058397', 'the hash is no part of it')
  const refused = { code: 'AUTH_INVALID' }
  t.throws(() => ed25519(initData, { environment: 'test' }), refused, 'another key')
  t.throws(() => ed25519(initData, { botId: '7342037358' }), refused, 'another bot')
  t.throws(() => ed25519(initData.replace('Kibenko', 'Kibenka')), refused, 'changed')
  t.throws(() => ed25519(initData.replace(/&signature=[^&]*/, '')), refused, 'no signature')
  t.throws(() => ed25519(initData.replace('signature=', 'signature=A')), refused, 'a longer signature')
  t.throws(() => ed25519(initData, { maxAgeS: 60, now: rest.now + 61_000 }), refused, 'too old')
})

void t.test('a bot token goes before a bot id', async (t) => {
  t.equal(verifyInitData(signUser({ id: 42, first_name: 'Ada' }), { ...options, botId: '42' }).userId, 'telegram:42')
})

void t.test('a machine without a bot says so', async (t) => {
  for (const none of [{}, { botToken: '' }, { botId: '' }]) {
    const { botToken: _, ...rest } = options
    t.throws(() => verifyInitData(vector('V1').initData, { ...rest, ...none }), {
      code: 'AUTH_INVALID',
      data: { reason: /no Telegram bot/ },
    })
  }
})

void t.test('what is not a string of 1 to 4096 characters is refused', async (t) => {
  for (const wrong of [undefined, null, 1, {}, [signUser({ id: 42, first_name: 'Ada' })], ''])
    t.match(refusal(wrong).data.reason, /must be a string/)
  const fill = (length: number) => {
    const bare = sign({ auth_date: String(authDate), user: ada, x: '' }).length
    return sign({ auth_date: String(authDate), user: ada, x: 'x'.repeat(length - bare) })
  }
  t.equal(fill(4096).length, 4096)
  t.equal(verifyInitData(fill(4096), options).user.firstName, 'Ada')
  t.match(refusal(fill(4097)).data.reason, /longer than 4096/)
})

void t.test('a field that comes twice is refused, whatever its value', async (t) => {
  const good = sign({ auth_date: String(authDate), user: ada })
  for (const again of ['auth_date=1', `auth_date=${authDate}`, `user=${ada}`, 'hash=x', good])
    t.match(refusal(`${good}&${again}`).data.reason, /twice/)
  t.match(refusal(`${good}&%75ser=${ada}`).data.reason, /malformed/, 'nor can a key be written in another way')
})

void t.test('control characters are refused, raw and percent-encoded', async (t) => {
  for (const character of ['\0', '\n', '\r', '\t', '\x7f', '\x85']) {
    const fields = { auth_date: String(authDate), user: ada, start_param: `a${character}b` }
    t.match(refusal(sign(fields)).data.reason, /control/)
    t.match(refusal(sign(fields).replace(encodeURIComponent(character), character)).data.reason, /control/)
  }
  const twoLines = sign({ auth_date: String(authDate), user: ada, x: '1' })
    .replace(/&x=1/, '')
    .replace(/auth_date=\d+/, `auth_date=${authDate}%0Auser=x`)
  t.match(refusal(twoLines).data.reason, /control/)
})

void t.test('malformed pairs and percent-encoding are refused', async (t) => {
  const good = sign({ auth_date: String(authDate), user: ada })
  for (const wrong of ['&', '&x', '&=x', '&a%3D=x', '&é=x', '&a b=x']) t.match(refusal(good + wrong).data.reason, /malformed/)
  for (const wrong of ['%', '%4', '%zz', '%C3', '%ED%A0%80', '%FF'])
    t.match(refusal(`${good}&x=${wrong}`).data.reason, /percent-encoded/)
})

void t.test('a plus sign stands for a space, and a value may hold an equals sign', async (t) => {
  const data = sign({ auth_date: String(authDate), user: ada, start_param: 'a b=c+d' })
  const { claims } = verifyInitData(data.replace('a%20b%3Dc', 'a+b=c'), options)
  t.equal(claims.startParam, 'a b=c+d')
})

void t.test('without the right hash nothing is believed', async (t) => {
  const good = sign({ auth_date: String(authDate), user: ada })
  t.equal(verifyInitData(good, options).userId, 'telegram:42')
  const wrong = [
    good.replace(/&hash=.*/, ''),
    good.replace('Ada', 'Eve'),
    `${good}0`,
    good.slice(0, -1),
    `${good}&x=1`,
    good.replace(/hash=.*/, (hash) => hash.toUpperCase().replace('HASH', 'hash')),
  ]
  for (const data of wrong) t.match(refusal(data).data.reason, /not signed/)
  t.match(refusal(good, { botToken: '42:TESS' }).data.reason, /not signed/)
})

void t.test('fields are sorted by name, also where one name begins with another', async (t) => {
  const fields = { a: '1', a1: '2', a_b: '3', auth_date: String(authDate), user: ada }
  t.equal(verifyInitData(sign(fields), options).userId, 'telegram:42')
})

void t.test('a signed auth_date must be a number of seconds', async (t) => {
  for (const wrong of ['', '-1', '1e9', '0x10', '1.5', ' 1', 'AAA', '123456789012', '٣'])
    t.match(refusal(sign({ auth_date: wrong, user: ada })).data.reason, /auth_date/)
  t.match(refusal(sign({ user: ada })).data.reason, /auth_date/)
})

void t.test('a signed user must have an id and a first name', async (t) => {
  t.match(refusal(sign({ auth_date: String(authDate) })).data.reason, /no valid user/)
  for (const json of ['', '{', 'null', '1', '"x"', '[]', '{}'])
    t.match(refusal(sign({ auth_date: String(authDate), user: json })).data.reason, /no valid user/)
  for (const id of [undefined, null, '42', 1.5, 0, -1, 2 ** 53, true, {}])
    t.match(refusal(signUser({ id, first_name: 'Ada' })).data.reason, /no valid user/)
  for (const name of [undefined, null, 1, '', '\n', ['Ada']])
    t.match(refusal(signUser({ id: 42, first_name: name })).data.reason, /no valid user/)
  const inherited = sign({ auth_date: String(authDate), user: `{"__proto__":${ada}}` })
  t.match(refusal(inherited).data.reason, /no valid user/)
})

void t.test("what a user's fields hold is bounded, and what is no text is dropped", async (t) => {
  const { user } = verifyInitData(
    signUser({
      id: 2 ** 53 - 1,
      first_name: '😀'.repeat(270),
      last_name: 5,
      username: null,
      photo_url: '',
      language_code: 'a\nb',
      is_bot: true,
    }),
    options,
  )
  t.strictSame(user, { id: 2 ** 53 - 1, firstName: '😀'.repeat(256), languageCode: 'ab' })
})

void t.test('init data is good until its greatest age and not longer', async (t) => {
  const data = sign({ auth_date: String(authDate), user: ada })
  t.equal(verifyInitData(data, { ...options, now: authDate * 1000 + 3600_000 }).userId, 'telegram:42')
  const { data: told } = refusal(data, { now: authDate * 1000 + 3600_001 })
  t.match(told.reason, /too old \(60 min, at most 60 min\)/)
  t.notOk('cause' in told)
  t.match(refusal(data, { now: (authDate + 7300) * 1000 }).data.reason, /too old \(2 h, at most 60 min\)/)
})

void t.test('a signed date that lies ahead shows that the clock of this machine is behind', async (t) => {
  const data = sign({ auth_date: String(authDate), user: ada })
  t.equal(verifyInitData(data, { ...options, now: authDate * 1000 - 30_000 }).userId, 'telegram:42')
  const { data: told } = refusal(data, { now: authDate * 1000 - 30_001 })
  t.equal(told.cause, 'clock')
  t.match(told.reason, /30 s behind.*timedatectl/)
  t.match(refusal(data, { now: authDate * 1000 - 86_400_000 }).data.reason, /24 h behind/)
  t.notOk(
    'cause' in refusal(data.replace(/auth_date=\d+/, 'auth_date=9999999999')).data,
    'a date that is not signed shows nothing',
  )
})

void t.test('nothing but a refusal comes of generated input', async (t) => {
  const part = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('hash=', 'user=', 'auth_date=', 'signature=', '&', '%', '{"id":1}', '\n', '__proto__='),
  )
  const anything = fc.oneof(
    fc.anything(),
    fc.array(part).map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(
      anything,
      fc.boolean(),
      (data, byId) => refusal(data, byId ? { botToken: '', botId: '1' } : {}) instanceof Refusal,
    ),
  )
  t.pass()
})
