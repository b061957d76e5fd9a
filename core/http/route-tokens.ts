import { hash, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where `patchbay token` keeps the SHA-256 (base64url) of each plugin's token, by plugin id. */
export function routeTokensFile(dataDir: string): string {
  return join(dataDir, 'route-tokens.json')
}

/** Whether a program sent the token of this plugin's routes. The file is read each time: what was taken back counts no more. */
export async function isRouteToken(dataDir: string, plugin: string, token: string): Promise<boolean> {
  const hashes = await readFile(routeTokensFile(dataDir), 'utf8')
    .then((text) => JSON.parse(text) as Readonly<Record<string, unknown>>)
    .catch((): Readonly<Record<string, unknown>> => ({})) // without a file, or with one that makes no sense, nobody has a token
  const known = Object.hasOwn(hashes, plugin) ? Buffer.from(String(hashes[plugin]), 'base64url') : Buffer.alloc(0)
  const given = hash('sha256', token, 'buffer')
  return known.length === given.length && timingSafeEqual(known, given)
}
