import { BlockList, isIP } from 'node:net'
import type { NetworkInterfaceInfo } from 'node:os'

/** Who may be spoken with, and from where. */
export interface Reach {
  /** Names of this machine's interfaces whose addresses are told; empty: all. */
  readonly interfaces: readonly string[]
  /** Loopback and link-local addresses take part too. */
  readonly local: boolean
  /** Nothing is told but addresses of a relay. */
  readonly relayOnly: boolean
}

/** Loopback, link-local, and what is no address of one machine: nobody far away is there. */
const near = new BlockList()
near.addSubnet('127.0.0.0', 8)
near.addSubnet('169.254.0.0', 16)
near.addAddress('::1', 'ipv6')
near.addSubnet('fe80::', 10, 'ipv6')
const nobody = new BlockList()
nobody.addSubnet('0.0.0.0', 8)
nobody.addSubnet('224.0.0.0', 3)
nobody.addAddress('::', 'ipv6')
nobody.addSubnet('ff00::', 8, 'ipv6')

const within = (list: BlockList, address: string) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** A candidate line as RFC 8839 has it, without `a=`. */
export interface Candidate {
  readonly text: string
  readonly address: string
  readonly type: 'host' | 'srflx' | 'prflx' | 'relay'
}

const shape =
  /^candidate:[\w+/]{1,32} [12] (udp|tcp) \d{1,10} (\S{1,255}) \d{1,5} typ (host|srflx|prflx|relay)((?: [\w-]{1,32} [\w.:+/-]{1,64}){0,8})$/i

/** Undefined for what is none. */
export function parseCandidate(line: string): Candidate | undefined {
  const text = line.trim().replace(/^a=/, '')
  const [, transport = '', address = '', type = ''] = shape.exec(text) ?? []
  // The library speaks UDP; what it cannot use is no harm and no use.
  return transport.toLowerCase() === 'udp' ? { text, address, type: type.toLowerCase() as Candidate['type'] } : undefined
}

/**
 * Whether packets may be sent where a stranger says. Names are not looked up (browsers hide behind `.local` ones, and are found by
 * their own packets), and nobody makes this machine knock at its own doors. Where the relay alone is told, a packet to anything but
 * another relay would tell more.
 */
export function mayDial({ address, type }: Candidate, { local, relayOnly }: Pick<Reach, 'local' | 'relayOnly'>): boolean {
  if (isIP(address) === 0 || (relayOnly && type !== 'relay')) return false
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  if (/^::ffff:/i.test(plain) || within(nobody, plain)) return false
  return local || !within(near, plain)
}

/** A candidate of this machine as it is told to a viewer, undefined if it is not. `addresses`: those of its interfaces. */
export function told(
  { text, address, type }: Candidate,
  { interfaces, local, relayOnly }: Reach,
  addresses: NodeJS.Dict<NetworkInterfaceInfo[]>,
): string | undefined {
  if (relayOnly) return type === 'relay' ? text.replace(/ raddr \S+ rport \d+/, ' raddr 0.0.0.0 rport 9') : undefined
  if (type !== 'host') return text
  if (!local && (isIP(address) === 0 || within(near, address))) return undefined
  if (interfaces.length === 0) return text
  return interfaces.some((name) => addresses[name]?.some((own) => own.address === address)) ? text : undefined
}
