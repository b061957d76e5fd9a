import { createHash } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { Header, Pack, ReadEntry } from 'tar'

export interface Entry {
  readonly path: string
  readonly type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'BlockDevice' | 'FIFO' | 'ContiguousFile'
  readonly text?: string
  readonly linkpath?: string
  readonly mode?: number
}

/** A .tgz with any entries, also such as npm never makes. */
export async function tarball(entries: readonly Entry[]): Promise<Buffer> {
  const pack = new Pack({ gzip: true, portable: true, preservePaths: true })
  const chunks: Buffer[] = []
  pack.on('data', (chunk) => chunks.push(chunk as Buffer))
  for (const { path, text = '', type = 'File', linkpath, mode = 0o644 } of entries) {
    const bytes = Buffer.from(text)
    const entry = new ReadEntry(
      new Header({ path, type, mode, mtime: new Date(0), size: bytes.length, ...(linkpath && { linkpath }) }),
    )
    pack.add(entry)
    entry.end(bytes)
  }
  pack.end()
  await pack.promise()
  return Buffer.concat(chunks)
}

export type Manifest = Readonly<Record<string, unknown>>

/** The files of a plugin whose package is called `patchbay-<id>`. */
export function pluginFiles(id: string, manifest: Manifest = {}, contract: Manifest = {}, start = ''): Record<string, string> {
  const whole = { name: `patchbay-${id}`, version: '1.0.0', type: 'module', patchbay: { api: 1, contract: './contract.json' } }
  const code = `import { definePlugin } from 'patchbay/plugin'\nimport contract from './contract.json' with { type: 'json' }\n`
  return {
    'package.json': JSON.stringify({ ...whole, ...manifest }),
    'contract.json': JSON.stringify({ id, ...contract }),
    'index.js': `${code}export default definePlugin(contract, { start(ctx) {\n${start}\n} })\n`,
  }
}

export const packed = (files: Readonly<Record<string, string>>): Promise<Buffer> =>
  tarball(Object.entries(files).map(([name, text]) => ({ path: `package/${name}`, text })))

interface Version {
  readonly manifest: Manifest
  readonly tarball: Buffer
  /** What the registry claims instead of the truth. */
  readonly dist?: Manifest
}

/** A registry of npm's kind on loopback: what was published to it, and what it was asked for. */
export class Registry {
  readonly url: string
  readonly asked: string[]
  readonly #packages: Map<string, Version[]>

  private constructor(url: string, asked: string[], packages: Map<string, Version[]>) {
    this.url = url
    this.asked = asked
    this.#packages = packages
  }

  /** `tls` makes it speak HTTPS. */
  static async open(t: Test, tls?: { readonly cert: string; readonly key: string }): Promise<Registry> {
    const [packages, asked] = [new Map<string, Version[]>(), [] as string[]]
    const answer: RequestListener = (request, response) => {
      const path = decodeURIComponent(request.url ?? '').slice(1)
      asked.push(path)
      const [, name = '', version = ''] = /^(.+)\/-\/(.+)\.tgz$/.exec(path) ?? []
      const file = packages.get(name)?.find(({ manifest }) => manifest.version === version)
      const document = documentOf(path, packages.get(path), `${scheme}://${request.headers.host}`)
      if (file) response.end(file.tarball)
      else if (document) response.setHeader('content-type', 'application/json').end(JSON.stringify(document))
      else response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"Not found"}')
    }
    const scheme = tls ? 'https' : 'http'
    const server = tls ? createSecureServer(tls, answer) : createServer(answer)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    return new Registry(`${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked, packages)
  }

  /** Publishes a package with these files; without a package.json of its own it gets the manifest as one. */
  async publish(manifest: Manifest, files: Readonly<Record<string, string>> | Buffer = {}, dist: Manifest = {}): Promise<void> {
    const name = String(manifest.name)
    const own = { 'package.json': JSON.stringify(manifest), 'index.js': 'module.exports = 1\n' }
    const bytes = Buffer.isBuffer(files) ? files : await packed({ ...own, ...files })
    this.#packages.set(name, [...(this.#packages.get(name) ?? []), { manifest, tarball: bytes, dist }])
  }
}

function documentOf(name: string, versions: readonly Version[] | undefined, host: string): object | undefined {
  if (!versions) return undefined
  const each = versions.map(({ manifest, tarball, dist }) => {
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    const version = String(manifest.version)
    return [version, { ...manifest, dist: { tarball: `${host}/${name}/-/${version}.tgz`, integrity, ...dist } }] as const
  })
  return { name, 'dist-tags': { latest: each.at(-1)?.[0] }, versions: Object.fromEntries(each) }
}
