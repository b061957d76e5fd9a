const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Control characters, separators of lines, what has no width or turns the direction of text around it; but not the joiner of emoji. */
const invisible = /[\p{Cc}\p{Zl}\p{Zp}\u00ad\u061c\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u
const escapes = /\\x([0-9a-f]{2})/g

const escaped = (bytes: Uint8Array) => Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')

/**
 * The name of a network as text: an SSID is up to 32 bytes of any kind. What is no visible text in UTF-8 is escaped as `\xe9`; so is
 * the backslash of text that looks like that, so that two SSIDs never have the same text.
 */
export function ssidText(ssid: Uint8Array): string {
  let text = ''
  for (let at = 0; at < ssid.length; ) {
    const character = characterAt(ssid, at)
    const bytes = ssid.subarray(at, at + (character ? Buffer.byteLength(character) : 1))
    at += bytes.length
    const looksEscaped = character === '\\' && /^x[0-9a-f]{2}/.test(Buffer.from(ssid.subarray(at, at + 3)).toString('latin1'))
    text += !character || looksEscaped || invisible.test(character) ? escaped(bytes) : character
  }
  return text
}

/** The bytes of a network's name, of what `ssidText` made or a person typed. */
export function ssidBytes(text: string): Buffer {
  const parts = text.split(escapes)
  // the odd ones are what stood behind \x
  return Buffer.concat(parts.map((part, index) => Buffer.from(part, index % 2 === 1 ? 'hex' : 'utf8')))
}

/** The character of UTF-8 that begins here, if one does. */
function characterAt(bytes: Uint8Array, at: number): string | undefined {
  const lead = bytes[at] ?? 0
  const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  try {
    return utf8.decode(bytes.subarray(at, at + length)) || undefined
  } catch {
    return undefined
  }
}
