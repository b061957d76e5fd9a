import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import type { AppFile, MountedContract } from '../../../core/plugin/host-control.ts'

/** A third party's panel: one script, and a style sheet if it has one. */
interface Files {
  readonly script: string
  readonly style: string
}

const most = 256 * 1024
const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** Reads a third party's panel. Undefined if there is none; rejects with a sentence if it cannot be shown. */
async function readPanel(directory: string): Promise<Files | undefined> {
  const script = await readText(directory, 'index.js')
  return script === undefined ? undefined : { script, style: (await readText(directory, 'style.css')) ?? '' }
}

/** A regular file of the folder itself, no link out of it and no pipe. */
async function readText(directory: string, name: string): Promise<string | undefined> {
  const path = join(directory, name)
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
      throw new Error(`${name} of its panel cannot be read (${error.code}).`)
    },
  )
  if (!file) return undefined
  try {
    const stats = await file.stat()
    if (!stats.isFile() || stats.size > most) throw new Error(`${name} of its panel is no file of at most ${most / 1024} KiB.`)
    if (!(await realpath(path)).startsWith(`${await realpath(join(directory, '..'))}${sep}`))
      throw new Error(`${name} of its panel lies elsewhere.`)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(stats.size), 0, stats.size, 0)
    return buffer.subarray(0, bytesRead).toString()
  } finally {
    await file.close()
  }
}

/**
 * The page that a third party's panel runs in: one answer with all that it has. It has an origin of its own and may load nothing, send
 * nothing and go nowhere; only the two scripts run, by their hashes, ours first. No markup is made of text: a frame so made would have
 * what our script takes away (WebRTC, which no policy refuses in every browser).
 */
function framePage(runtime: string, { script, style }: Files): { readonly path: string; readonly file: AppFile } {
  // The end of a script or style cannot be said inside of it; in a text or a pattern the backslash means nothing.
  const [own, foreign, look] = [runtime, script, style].map((text) =>
    text.replace(/<(?=\/(script|style)|!--|script)/gi, '\\x3c'),
  ) as [string, string, string]
  const body = `<!doctype html>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>panel</title>
<style>${look}</style>
<div id="panel"></div>
<script>${own}</script>
<script type="module">${foreign}</script>
`
  const policy = [
    'sandbox allow-scripts',
    "default-src 'none'",
    `script-src ${hash(own)} ${hash(foreign)}`,
    "style-src 'unsafe-inline'",
    'img-src data: blob:',
    'font-src data:',
    'media-src data: blob:',
    "connect-src 'none'",
    "frame-src 'none'",
    "worker-src 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self' https://web.telegram.org",
  ].join('; ')
  const name = createHash('sha256').update(policy).update(body).digest('base64url').slice(0, 32)
  return {
    path: `/panel/frame/${name}`,
    file: {
      status: 200,
      headers: {
        'Content-Type': 'text/html; charset=utf-8',
        'Content-Security-Policy': policy,
        'Permissions-Policy': 'camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=(), display-capture=()',
        'X-DNS-Prefetch-Control': 'off',
        'Cache-Control': 'private, max-age=31536000, immutable',
      },
      body: Buffer.from(body),
    },
  }
}

/** The frames of third parties' panels that are there now. */
export class Frames {
  readonly #runtime: string
  readonly #onProblem: (id: string, sentence: string) => void
  #pages = new Map<string, AppFile>()
  #paths = new Map<string, string>()
  #following: Promise<void> = Promise.resolve()
  readonly #told = new Map<string, string>()

  constructor(runtime: string, onProblem: (id: string, sentence: string) => void) {
    this.#runtime = runtime
    this.#onProblem = onProblem
  }

  page(path: string): AppFile | undefined {
    return this.#pages.get(path)
  }

  /** Where the panel of a module is shown; undefined if it has none. */
  pathOf(id: string): string | undefined {
    return this.#paths.get(id)
  }

  /** Reads what is there now, one reading after another. Of a plugin that is switched off nothing is read: nobody has agreed to it. */
  follow(modules: readonly MountedContract[]): Promise<void> {
    this.#following = this.#following.then(() => this.#read(modules))
    return this.#following
  }

  async #read(modules: readonly MountedContract[]): Promise<void> {
    const [pages, paths] = [new Map<string, AppFile>(), new Map<string, string>()]
    for (const { id, builtin, state, panel } of modules) {
      if (builtin || panel === undefined || state === 'disabled') continue
      try {
        const files = await readPanel(panel)
        if (!files) continue
        const { path, file } = framePage(this.#runtime, files)
        pages.set(path, file)
        paths.set(id, path)
        this.#told.delete(id)
      } catch (error) {
        const { message } = error as Error
        if (this.#told.get(id) !== message) this.#onProblem(id, message)
        this.#told.set(id, message)
      }
    }
    this.#pages = pages
    this.#paths = paths
  }
}
