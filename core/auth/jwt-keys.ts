import { createPublicKey, randomBytes, randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { JWTVerifyGetKey, KeyObject } from 'jose'
import type { AuthConfig } from '../config/types.ts'
import { writeWhole } from '../write-whole.ts'

type Jose = typeof import('jose')
type Key = KeyObject | Uint8Array | JWTVerifyGetKey

/** Tokens of one issuer: by which key, and what must stand in them. */
export interface Trust {
  readonly key: Key
  readonly issuer: string
  readonly audience: string
  readonly algorithms: string[]
}

/** Whom Patchbay's own tokens are from. */
export const ownIssuer = 'patchbay'
const least = { secretBytes: 32 }
const most = { jwksBytes: 256 * 1024 }
/** Milliseconds: of a fetch; between two, however many tokens name a key that is not known; how long one is good. */
const jwksMs = { timeout: 5000, pause: 30_000, age: 600_000 }

/** The keys that the configuration names. Rejects with a sentence. */
export async function configuredTrust(jose: Jose, config: AuthConfig): Promise<Trust | undefined> {
  const { issuer, audience, algorithms, secretFile, keysFile, jwksUrl } = config
  if (issuer === undefined || audience === undefined || algorithms === undefined) return undefined
  const key =
    secretFile !== undefined
      ? secret(await readFile(secretFile, 'utf8'), secretFile)
      : keysFile !== undefined
        ? publicKeys(jose, await readFile(keysFile, 'utf8'))
        : fetched(jose, jwksUrl as string)
  return { key, issuer, audience, algorithms: [...algorithms] }
}

/** The key that Patchbay itself signs with for a plugin; made if `create` says so. */
export async function ownKey(file: string, create: boolean): Promise<Uint8Array | undefined> {
  const read = async () => secret(await readFile(file, 'utf8'), file)
  return read().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    if (!create) return undefined
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const fresh = `${file}-${randomUUID()}`
    await writeWhole(fresh, `${randomBytes(least.secretBytes).toString('base64url')}\n`, { mode: 0o600 })
    // Of several that are made at once the first is the key, for all.
    await link(fresh, file).catch(() => undefined)
    await rm(fresh)
    return read()
  })
}

function secret(text: string, file: string): Uint8Array {
  const bytes = new TextEncoder().encode(text.trim())
  if (bytes.length < least.secretBytes) throw new Error(`The secret in ${file} has fewer than ${least.secretBytes} bytes.`)
  return bytes
}

/** A JWKS document, or one key as PEM. */
function publicKeys(jose: Jose, text: string): Key {
  return text.trimStart().startsWith('{')
    ? jose.createLocalJWKSet(JSON.parse(text) as Parameters<Jose['createLocalJWKSet']>[0])
    : createPublicKey(text)
}

function fetched(jose: Jose, url: string): Key {
  return jose.createRemoteJWKSet(new URL(url), {
    timeoutDuration: jwksMs.timeout,
    cooldownDuration: jwksMs.pause,
    cacheMaxAge: jwksMs.age,
    [jose.customFetch]: (address, options) => bounded(address, options),
  })
}

/** Follows no redirect, and reads no more than a set of keys may have. */
async function bounded(url: string, options: object): Promise<Response> {
  const response = await fetch(url, { ...options, redirect: 'error' })
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += (chunk as Uint8Array).length
    if (length > most.jwksBytes) throw new Error(`More than ${most.jwksBytes} bytes of keys.`)
    chunks.push(chunk as Uint8Array)
  }
  return new Response(Buffer.concat(chunks), { status: response.status })
}
