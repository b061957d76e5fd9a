import { networkInterfaces } from 'node:os'
import { isLoopback, isPrivate } from '../../core/auth/address.ts'

const everywhere: ReadonlyMap<string, string> = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['[::]', '[::1]'],
])

/**
 * Where what listens at `url` can be opened: by a person on this machine, or with `lan` at its private addresses too. Empty
 * if it listens at none of these.
 */
export function linkUrls(url: string, lan: boolean): string[] {
  const { hostname } = new URL(url)
  const at = (host: string) => url.replace(`//${hostname}`, `//${host}`)
  const plain = (host: string) => host.replace(/^\[|\]$/g, '')
  const own = everywhere.get(hostname)
  const others = Object.values(networkInterfaces()).flatMap((list = []) => list.map(({ address }) => address))
  const neighbours = own
    ? others.filter((address) => address.includes('.') && isPrivate(address))
    : [plain(hostname)].filter(isPrivate)
  const near = own ?? (isLoopback(plain(hostname)) ? hostname : undefined)
  return [
    ...(near ? [at(near)] : []),
    ...(lan ? neighbours.map((address) => at(address.includes(':') ? `[${address}]` : address)) : []),
  ]
}

/** The links for a code of the daemon. Throws if nobody could open any. */
export function linksFor({ code, url }: { readonly code: string; readonly url: string }, lan: boolean): string[] {
  const urls = linkUrls(url, lan)
  if (urls.length === 0) throw new Error('Patchbay does not listen on 127.0.0.1 (host.json). Try: patchbay login --lan')
  return urls.map((place) => `${place}/login#${code}`)
}
