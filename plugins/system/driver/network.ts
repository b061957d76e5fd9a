import { existsSync } from 'node:fs'
import type { NetworkInterfaceInfo } from 'node:os'
import { listNames, readLine, readNumber, readText } from './read.ts'

export interface NetworkInterface {
  iface: string
  /** The first IPv4 address; '' if there is none. */
  ip4: string
  /** '' for those without one, such as VPN tunnels. */
  mac: string
  /** Mbit/s as the driver tells; null for most Wi-Fi and virtual ones. */
  speed: number | null
  isUp: boolean
  /** Bytes per second since the reading before; null on the first one. */
  rx: number | null
  tx: number | null
}

export interface Traffic {
  rx: number
  tx: number
}

export type Counters = ReadonlyMap<string, Traffic>
type Addresses = () => NodeJS.Dict<NetworkInterfaceInfo[]>

/** Bytes since the interface came up, by name; undefined if /proc/net/dev cannot be read. */
export function readCounters(root: string): Counters | undefined {
  const text = readText(`${root}/proc/net/dev`)
  if (text === undefined) return undefined
  const counters = new Map<string, Traffic>()
  for (const line of text.split('\n').slice(2)) {
    const [name, values] = line.split(':')
    if (!name || !values) continue
    const fields = values.trim().split(/\s+/)
    counters.set(name.trim(), { rx: Number(fields[0]), tx: Number(fields[8]) })
  }
  return counters
}

/** Bytes between two readings. Counters that started again from zero in between tell nothing and count as none. */
export function difference(now: Traffic, before: Traffic): Traffic {
  return { rx: Math.max(0, now.rx - before.rx), tx: Math.max(0, now.tx - before.tx) }
}

interface Facts {
  hardware: boolean
  bridge: boolean
  mac: string
  /** Asking for the speed can wait for the device, so it is asked once per change of the link. */
  linkChanges: number | undefined
  speed: number | null
}

/** What is known of an interface is looked up again after this many milliseconds, and when one comes or goes. */
const LOOK_AGAIN_MS = 60_000

export interface Network {
  /** The interfaces a person would name, hardware first, and of these the connected ones first. */
  read(counters: Counters, before: Counters | undefined, seconds: number): NetworkInterface[]
  /** Of these names the ones whose traffic is the machine's: its hardware, or where there is none (a container) all but loopback. */
  carriers(names: Iterable<string>): string[]
}

/**
 * Shown are: hardware, connected or not; and of virtual interfaces (VPN, VLAN, bond, a container's own) those with an address.
 * Not shown: loopback, and bridges that lead to no hardware, as those of Docker, libvirt or LXC, with the veth pairs behind them.
 */
export function createNetwork(root: string, addresses: Addresses): Network {
  const facts = new Map<string, Facts>()
  let names = ''
  let lookedAt = 0

  const look = (all: readonly string[]): void => {
    const latest = all.join(' ')
    if (latest === names && performance.now() - lookedAt < LOOK_AGAIN_MS) return
    names = latest
    lookedAt = performance.now()
    facts.clear()
    for (const name of all) {
      const path = `${root}/sys/class/net/${name}`
      const hardware = existsSync(`${path}/device`)
      const bridge = !hardware && existsSync(`${path}/bridge`)
      facts.set(name, { hardware, bridge, mac: readMac(path), linkChanges: undefined, speed: null })
    }
  }

  return {
    read(counters, before, seconds) {
      const all = [...counters.keys()].filter((name) => name !== 'lo')
      look(all)
      const address = groupAddresses(addresses())
      const shown: Array<NetworkInterface & { hardware: boolean }> = []
      for (const name of all) {
        const fact = facts.get(name)
        const own = address.get(name)
        if (!fact || (!fact.hardware && (!own?.routable || (fact.bridge && !restsOnHardware(root, name))))) continue
        const now = counters.get(name)
        const old = before?.get(name)
        const moved = now && old && seconds > 0 ? difference(now, old) : undefined
        shown.push({
          iface: name,
          ip4: own?.ip4 ?? '',
          mac: fact.mac,
          speed: readSpeed(`${root}/sys/class/net/${name}`, fact),
          isUp: isUp(`${root}/sys/class/net/${name}`),
          rx: moved ? Math.round(moved.rx / seconds) : null,
          tx: moved ? Math.round(moved.tx / seconds) : null,
          hardware: fact.hardware,
        })
      }
      const order = ({ hardware, isUp }: { hardware: boolean; isUp: boolean }) => Number(hardware) * 2 + Number(isUp)
      return shown.sort((a, b) => order(b) - order(a)).map(({ hardware: _, ...shape }) => shape)
    },
    carriers(list) {
      const all = [...list].filter((name) => name !== 'lo')
      look(all)
      const hardware = all.filter((name) => facts.get(name)?.hardware)
      return hardware.length > 0 ? hardware : all
    },
  }
}

/** Labels such as `eth0:1` belong to eth0. Link-local IPv6 comes by itself and says nothing. */
function groupAddresses(all: ReturnType<Addresses>): Map<string, { ip4: string; routable: boolean }> {
  const grouped = new Map<string, { ip4: string; routable: boolean }>()
  for (const [label, list] of Object.entries(all)) {
    const name = label.split(':')[0] ?? label
    const ip4 = grouped.get(name)?.ip4 || (list?.find(({ family }) => family === 'IPv4')?.address ?? '')
    const ip6 = list?.some(({ family, address }) => family === 'IPv6' && !address.startsWith('fe80')) ?? false
    grouped.set(name, { ip4, routable: ip4 !== '' || ip6 || (grouped.get(name)?.routable ?? false) })
  }
  return grouped
}

/** The kernel links every interface to those below it as `lower_<name>`. */
function restsOnHardware(root: string, name: string, depth = 0): boolean {
  if (existsSync(`${root}/sys/class/net/${name}/device`)) return true
  const below = listNames(`${root}/sys/class/net/${name}`).filter((entry) => entry.startsWith('lower_'))
  return depth < 4 && below.some((entry) => restsOnHardware(root, entry.slice('lower_'.length), depth + 1))
}

function readMac(path: string): string {
  const mac = readLine(`${path}/address`)
  return /^([\da-f]{2}:){5}[\da-f]{2}$/.test(mac) && mac !== '00:00:00:00:00:00' ? mac : ''
}

function readSpeed(path: string, fact: Facts): number | null {
  const changes = readNumber(`${path}/carrier_changes`) ?? 0
  if (changes !== fact.linkChanges) {
    fact.linkChanges = changes
    const speed = readNumber(`${path}/speed`)
    // "Unknown" is -1, in older kernels the same as an unsigned number.
    fact.speed = speed !== undefined && speed > 0 && speed < 0xffffffff ? speed : null
  }
  return fact.speed
}

/** Tunnels have no operational state of their own; they are up when they have a carrier. */
function isUp(path: string): boolean {
  const state = readLine(`${path}/operstate`)
  return state === 'up' || (state === 'unknown' && readLine(`${path}/carrier`) === '1')
}
