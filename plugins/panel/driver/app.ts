import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AppFile, HostControl } from '../../../core/plugin/host-control.ts'

/**
 * Nothing but the app's own files and its own server. Telegram Web may show it in a frame; nobody else may. What a page could be
 * made to run by a text that came from outside (markup as a string) is refused by the browser too.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "frame-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  'frame-ancestors https://web.telegram.org',
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
}
const encodings = { br: '.br', gzip: '.gz' } as const

type Answer = Parameters<HostControl['serveApp']>[0]
interface Stored {
  readonly headers: Readonly<Record<string, string>>
  readonly etag: string
  readonly body: Buffer
  readonly packed: ReadonlyMap<string, Buffer>
}

/** Reads the built app, with what the build compressed beforehand. Its first page is at `/`, the rest below `/panel/`. */
export async function loadApp(directory: URL): Promise<Answer> {
  const root = fileURLToPath(directory)
  const names = (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => `${parentPath}/${name}`.slice(root.length).replace(/^\//, ''))
  const files = new Map<string, Stored>()
  for (const name of names.filter((name) => types[extname(name)] && (name === 'index.html' || name.startsWith('assets/')))) {
    const body = await readFile(root + name)
    const packed = new Map<string, Buffer>()
    for (const [encoding, ending] of Object.entries(encodings))
      if (names.includes(name + ending)) packed.set(encoding, await readFile(root + name + ending))
    const isPage = name === 'index.html'
    files.set(isPage ? '/' : `/panel/${name}`, {
      body,
      packed,
      etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
      headers: {
        'Content-Type': types[extname(name)] as string,
        // All but the first page have their content's hash in the name.
        'Cache-Control': isPage ? 'no-cache' : 'public, max-age=31536000, immutable',
        Vary: 'Accept-Encoding',
        ...(isPage && { 'Content-Security-Policy': policy, 'Permissions-Policy': permissions }),
      },
    })
  }
  if (!files.has('/')) throw new Error(`The app is not built: ${root}index.html is missing.`)
  return (path, headers) => {
    const file = files.get(path)
    return file && answer(file, headers)
  }
}

const permissions = ['camera', 'microphone', 'geolocation', 'usb', 'serial', 'payment'].map((one) => `${one}=()`).join(', ')

function answer({ etag, body, packed, headers }: Stored, asked: Parameters<Answer>[1]): AppFile {
  const encoding = [...packed.keys()].find((name) => accepts(String(asked['accept-encoding'] ?? ''), name))
  const tag = encoding ? etag.replace(/"$/, `-${encoding}"`) : etag
  const all = { ...headers, ETag: tag, ...(encoding && { 'Content-Encoding': encoding }) }
  if (asked['if-none-match'] === tag) return { status: 304, headers: all, body: new Uint8Array() }
  return { status: 200, headers: all, body: packed.get(encoding ?? '') ?? body }
}

/** Whether `Accept-Encoding` names it and does not rule it out. */
function accepts(header: string, name: string): boolean {
  return header.split(',').some((part) => {
    const [encoding = '', weight = ''] = part.split(';').map((text) => text.trim())
    return encoding.toLowerCase() === name && !/^q=0(\.0*)?$/.test(weight)
  })
}
