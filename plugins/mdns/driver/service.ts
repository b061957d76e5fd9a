import type { Service } from './avahi.ts'

/** What the network can be told of a daemon that listens at this URL; undefined if only this machine reaches it. */
export function serviceAt(url: string): Service | undefined {
  const { protocol, hostname, port } = new URL(url)
  if (/^(localhost|127\..*|\[::1\])$/.test(hostname)) return undefined
  const isSecure = protocol === 'https:'
  return { type: isSecure ? '_https._tcp' : '_http._tcp', port: Number(port) || (isSecure ? 443 : 80), txt: ['path=/login'] }
}

/** The same with this machine's name on the local network. */
export function urlAt(url: string, host: string): string {
  const { protocol, port } = new URL(url)
  return new URL(`${protocol}//${host}:${port}`).origin
}
