import { createHmac, createPublicKey, type KeyObject, timingSafeEqual, verify } from 'node:crypto'
import { type Identity, Refusal, type TelegramUser } from './identity.ts'

export interface TelegramOptions {
  /** Checks by the bot's own key. Goes before `botId`. */
  readonly botToken?: string
  /** Checks by Telegram's key, which needs no secret. */
  readonly botId?: string
  /** Which of Telegram's keys. */
  readonly environment: 'production' | 'test'
  /** Seconds that init data may be old. */
  readonly maxAgeS: number
  /** Milliseconds since the epoch. */
  readonly now: number
}

const maxChars = 4096
const maxText = 256
const clockLeewayMs = 30_000

/** Source: https://core.telegram.org/bots/webapps#validating-data-for-third-party-use */
const telegramKeys = {
  production: ed25519Key('e7bf03a2fa4602af4580703d88dda5bb59f32ed8b02a56c187fe7d34caed242d'),
  test: ed25519Key('40055058a4ee38156a06562e52eece92a771bcd8346a8c4615cb7376eddf72ec'),
}

/**
 * Finds out who opened the Mini App. `signedAt` is when Telegram signed it, in milliseconds (whole seconds); the claims hold it
 * in seconds as `authDate`, and `startParam` and `chatType` where present. Throws a Refusal with `AUTH_INVALID`.
 * Source: https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app
 */
export function verifyInitData(initData: unknown, options: TelegramOptions): Identity & { readonly signedAt: number } {
  if (!options.botToken && !options.botId)
    throw invalid('This machine has no Telegram bot configured, so nobody can log in by Telegram.')
  const fields = parse(initData)
  if (!isGenuine(fields, options)) throw invalid('The init data is not signed by Telegram for the bot of this machine.')
  const authDate = fields.get('auth_date') ?? ''
  if (!/^\d{1,11}$/.test(authDate)) throw invalid('The init data has no valid auth_date.')
  const signedAt = Number(authDate) * 1000
  judgeAge(options.now - signedAt, options.maxAgeS * 1000)
  const user = telegramUser(fields.get('user'))
  const [startParam, chatType] = [fields.get('start_param'), fields.get('chat_type')]
  const claims = { authDate: Number(authDate), ...(startParam && { startParam }), ...(chatType && { chatType }) }
  return { userId: `telegram:${user.id}`, user, claims, signedAt }
}

/** One reading only: what could be read in two ways (a key twice, a line feed in a value) is refused. */
function parse(initData: unknown): Map<string, string> {
  if (typeof initData !== 'string' || initData === '') throw invalid('The init data must be a string that is not empty.')
  if (initData.length > maxChars) throw invalid(`The init data is longer than ${maxChars} characters.`)
  const fields = new Map<string, string>()
  for (const pair of initData.split('&')) {
    const [, key, value] = /^(\w+)=(.*)$/s.exec(pair) ?? []
    if (key === undefined || value === undefined) throw invalid('The init data is malformed.')
    if (fields.has(key)) throw invalid('The init data has a field twice.')
    const decoded = attempt(() => decodeURIComponent(value.replaceAll('+', ' ')), 'The init data is not percent-encoded UTF-8.')
    if (/\p{Cc}/u.test(decoded)) throw invalid('The init data has control characters.')
    fields.set(key, decoded)
  }
  return fields
}

function isGenuine(fields: ReadonlyMap<string, string>, { botToken, botId, environment }: TelegramOptions): boolean {
  const lines = (...leftOut: string[]) => {
    const keys = [...fields.keys()].filter((key) => !leftOut.includes(key)).sort()
    return keys.map((key) => `${key}=${fields.get(key)}`).join('\n')
  }
  if (botToken) {
    const hash = fields.get('hash') ?? ''
    const secret = createHmac('sha256', 'WebAppData').update(botToken).digest()
    const expected = createHmac('sha256', secret).update(lines('hash')).digest()
    return /^[\da-f]{64}$/.test(hash) && timingSafeEqual(Buffer.from(hash, 'hex'), expected)
  }
  const signature = fields.get('signature') ?? ''
  const signed = Buffer.from(`${botId}:WebAppData\n${lines('hash', 'signature')}`)
  return verify(null, signed, telegramKeys[environment], Buffer.from(signature, 'base64url'))
}

/** Only for data that is known to be genuine: then a date that lies ahead is the truth, and this machine's clock is behind. */
function judgeAge(ageMs: number, maxAgeMs: number): void {
  if (ageMs < -clockLeewayMs) {
    const reason = `The clock of this machine is ${span(-ageMs)} behind Telegram's. \`timedatectl\` on the machine shows whether it is synchronised.`
    throw invalid(reason, { cause: 'clock' })
  }
  if (ageMs > maxAgeMs)
    throw invalid(`The init data is too old (${span(ageMs)}, at most ${span(maxAgeMs)}). Close the Mini App and open it again.`)
}

function telegramUser(json = ''): TelegramUser {
  const raw = attempt((): unknown => JSON.parse(json), 'The init data has no valid user.')
  const fields = new Map<string, unknown>(Object.entries(raw ?? {}))
  const text = (name: string) => {
    const value = fields.get(name)
    if (typeof value !== 'string') return undefined
    // By code points, so that no emoji is cut in two.
    const characters = Array.from(value.replace(/\p{Cc}/gu, ''))
    return characters.slice(0, maxText).join('')
  }
  const [id, firstName, lastName] = [fields.get('id'), text('first_name'), text('last_name')]
  const [username, photoUrl, languageCode] = [text('username'), text('photo_url'), text('language_code')]
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id <= 0 || !firstName)
    throw invalid('The init data has no valid user.')
  const optional = { ...(lastName && { lastName }), ...(username && { username }), ...(photoUrl && { photoUrl }) }
  return { id, firstName, ...optional, ...(languageCode && { languageCode }) }
}

function ed25519Key(hex: string): KeyObject {
  const x = Buffer.from(hex, 'hex').toString('base64url')
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
}

function span(ms: number): string {
  const [unit, name] = ms < 120_000 ? [1000, 's'] : ms < 7_200_000 ? [60_000, 'min'] : [3_600_000, 'h']
  return `${Math.round(ms / unit)} ${name}`
}

function attempt<T>(work: () => T, reason: string): T {
  try {
    return work()
  } catch {
    throw invalid(reason)
  }
}

function invalid(reason: string, extra?: { cause: 'clock' }): Refusal {
  return new Refusal('AUTH_INVALID', reason, extra)
}
