import { createHmac } from 'node:crypto'

/** Init data as Telegram would sign it, now, for the bot with this token. `fields` are added to it or replace what it has. */
export function signedInitData(botToken: string, id: number, fields: Readonly<Record<string, string>> = {}): string {
  const user = JSON.stringify({ id, first_name: `Test ${id}` })
  const pairs = { auth_date: String(Math.floor(Date.now() / 1000)), user, ...fields }
  const text = Object.entries(pairs).map(([key, value]) => `${key}=${value}`)
  const secret = createHmac('sha256', 'WebAppData').update(botToken).digest()
  const hash = createHmac('sha256', secret).update(text.sort().join('\n')).digest('hex')
  return new URLSearchParams({ ...pairs, hash }).toString()
}
