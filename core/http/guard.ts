import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import proxyAddr from '@fastify/proxy-addr'
import { hostName, isLoopback } from '../auth/address.ts'
import type { HostConfig } from '../config/types.ts'

export type GuardSettings = Pick<HostConfig, 'publicUrl' | 'hosts' | 'origins' | 'trustedProxies'>

const maxRefusedHosts = 8

type Trust = (address: string, hops: number) => boolean

/** Knows where a request comes from and whether it was meant for this host: the protection against DNS rebinding and foreign pages. */
export class Guard {
  /** Names that requests came for and that the configuration does not have, the latest last: a tunnel's new address, or an attack. */
  readonly refusedHosts = new Map<string, { count: number; at: number }>()
  readonly #settings: () => GuardSettings
  #trust: { proxies: readonly string[]; isTrusted: Trust } | undefined

  constructor(settings: () => GuardSettings) {
    this.#settings = settings
  }

  /** The visitor's address: the peer's, or what the listed proxies say, read from the right. */
  addressOf(request: IncomingMessage): string {
    return proxyAddr(request, this.#isTrusted()) ?? request.socket.remoteAddress ?? ''
  }

  /** Why this request is not served, or undefined. */
  problem(request: IncomingMessage): string | undefined {
    if (!this.#knowsHost(request)) return this.#refuseHost(hostName(request.headers.host ?? ''))
    return request.headers.origin === undefined || this.knowsPage(request)
      ? undefined
      : 'This Origin is not one that host.json names (publicUrl, origins).'
  }

  /** Whether a page of our own asks, at whatever of our names and addresses it was opened. */
  isOwnPage({ headers }: IncomingMessage): boolean {
    return /^https?:\/\/(.*)$/.exec(headers.origin ?? '')?.[1] === headers.host?.toLowerCase()
  }

  /** The same, or a page of an origin that host.json names. */
  knowsPage(request: IncomingMessage): boolean {
    return this.isOwnPage(request) || this.knowsOrigin(request.headers.origin ?? '')
  }

  knowsOrigin(origin: string): boolean {
    const { publicUrl, origins } = this.#settings()
    if ([publicUrl, ...origins].some((known) => known !== undefined && new URL(known).origin === origin)) return true
    if (!URL.canParse(origin)) return false
    const { protocol, hostname } = new URL(origin)
    return /^https?:$/.test(protocol) && isLocalName(hostname.replace(/^\[|\]$/g, ''))
  }

  #refuseHost(name = ''): string {
    const { count } = this.refusedHosts.get(name) ?? { count: 0 }
    this.refusedHosts.delete(name)
    const [oldest = ''] = this.refusedHosts.size >= maxRefusedHosts ? this.refusedHosts.keys() : []
    this.refusedHosts.delete(oldest)
    this.refusedHosts.set(name, { count: count + 1, at: Date.now() })
    return 'This Host is not one that host.json names (publicUrl, hosts).'
  }

  #knowsHost(request: IncomingMessage): boolean {
    const name = hostName(request.headers.host ?? '')
    if (name === undefined) return false
    const { publicUrl, hosts } = this.#settings()
    if (isLocalName(name) || hosts.includes(name) || (publicUrl && hostName(new URL(publicUrl).host) === name)) return true
    // An address is no name that could be rebound; it is ours if the request arrived at it.
    return isIP(name) !== 0 && name === request.socket.localAddress?.replace(/^::ffff:/, '')
  }

  #isTrusted(): Trust {
    const { trustedProxies } = this.#settings()
    if (this.#trust?.proxies !== trustedProxies)
      this.#trust = { proxies: trustedProxies, isTrusted: proxyAddr.compile([...trustedProxies]) }
    return this.#trust.isTrusted
  }
}

function isLocalName(name: string): boolean {
  return name === 'localhost' || isLoopback(name)
}
