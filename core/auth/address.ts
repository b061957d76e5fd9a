import type { IncomingHttpHeaders } from 'node:http'
import { BlockList, isIP, isIPv6 } from 'node:net'

const loopback = blockList('127.0.0.0/8', '::1/128')
const neighbourhood = blockList('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', 'fc00::/7', 'fe80::/10')

/** What reverse proxies, tunnels and CDNs add to a request. */
const forwarding =
  /^(?:forwarded|via|x-forwarded.*|x-original-.*|x-real-ip|x-client-ip|x-cluster-client-ip|true-client-ip|cf-.*|cdn-loop|fastly-client-ip|fly-.*|tailscale-.*)$/i

/** 127.0.0.0/8 and ::1, in any notation. False for names. */
export function isLoopback(address: string): boolean {
  return contains(loopback, address)
}

/** Private (RFC 1918, fc00::/7) and link-local addresses, in any notation. False for loopback and for names. */
export function isPrivate(address: string): boolean {
  return contains(neighbourhood, address)
}

/** True if anything says that a request was passed on by somebody. A header's value is no matter: its presence is enough. */
export function isForwarded(headers: IncomingHttpHeaders): boolean {
  return Object.keys(headers).some((name) => forwarding.test(name))
}

/** The name or address in a Host header, in lower case and without brackets; undefined when malformed. */
export function hostName(hostHeader: string): string | undefined {
  const [, v6, name, port = '0'] = /^(?:\[([\da-f:.]{2,45})\]|([\w.-]{1,253}))(?::(\d{1,5}))?$/i.exec(hostHeader) ?? []
  if (Number(port) > 65_535 || (v6 !== undefined && !isIPv6(v6))) return undefined
  return (v6 ?? name)?.toLowerCase()
}

/** What limits count by: an IPv4 address, or the /64 of an IPv6 address (one household has them all). Anything else stays as it is. */
export function addressKey(address: string): string {
  const plain = normalize(address)
  if (!isIPv6(plain)) return plain
  const [left = [], right = []] = plain.split('::').map((half) => (half === '' ? [] : half.split(':')))
  const zeros = Array<string>(8 - left.length - right.length).fill('0')
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`
}

/** Without a zone, IPv6 in its shortest form, IPv4-mapped addresses as IPv4. */
function normalize(address: string): string {
  const bare = address.replace(/%.*/s, '')
  if (!isIPv6(bare)) return bare
  const shortest = new URL(`http://[${bare}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(shortest) ?? []
  if (high === undefined || low === undefined) return shortest
  const [left, right] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return [left >> 8, left & 255, right >> 8, right & 255].join('.')
}

function contains(list: BlockList, address: string): boolean {
  const plain = normalize(address)
  const family = isIP(plain)
  return family !== 0 && list.check(plain, family === 6 ? 'ipv6' : 'ipv4')
}

function blockList(...subnets: string[]): BlockList {
  const list = new BlockList()
  for (const [network = '', prefix] of subnets.map((subnet) => subnet.split('/')))
    list.addSubnet(network, Number(prefix), isIPv6(network) ? 'ipv6' : 'ipv4')
  return list
}
