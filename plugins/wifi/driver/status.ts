import type { Objects, Properties } from './bus.ts'
import type { NetworkManager } from './network-manager.ts'
import { accessPoints, type Band, bandOf, type Security } from './networks.ts'
import { ssidText } from './ssid.ts'

export interface Status {
  readonly connected: boolean
  readonly ssid?: string
  readonly ip?: string
  /** 0 to 100. */
  readonly signal?: number
  /** Such as `72 Mbps`. */
  readonly speed?: string
  readonly gateway?: string
  readonly dns?: string[]
  /** The device's name, such as `wlan0`; none without one. */
  readonly device?: string
  /** Whether it may transmit. */
  readonly radio: boolean
  readonly state: 'unavailable' | 'disconnected' | 'connecting' | 'connected'
  readonly bssid?: string
  readonly security?: Security
  /** MHz. */
  readonly frequency?: number
  readonly band?: Band
}

/** What NetworkManager says of the Wi-Fi device; what is unknown is left out. */
export function statusOf(manager: NetworkManager): Status {
  const { WirelessEnabled = false, WirelessHardwareEnabled = false } = manager.manager ?? {}
  const radio = WirelessEnabled === true && WirelessHardwareEnabled === true
  const { device, objects } = manager
  if (!device) return { connected: false, radio, state: 'unavailable' }
  const state = stateOf(device.state)
  const connected = state === 'connected'
  const [point] = accessPoints(objects, [device.accessPoint])
  const bitrate = Number(device.wireless.Bitrate ?? 0)
  return {
    connected,
    ...(point && state !== 'disconnected' && { ssid: ssidText(point.ssid) }),
    ...(connected && addressOf(objects, device.properties)),
    ...(point && connected && { signal: point.signal }),
    ...(connected && bitrate > 0 && { speed: `${Math.round(bitrate / 1000)} Mbps` }),
    device: device.name,
    radio,
    state,
    ...(point && connected && { bssid: point.bssid, security: point.security }),
    ...(point && connected && { frequency: point.frequency, band: bandOf(point.frequency) }),
  }
}

/** NMDeviceState. */
function stateOf(state: number): Status['state'] {
  if (state < 30) return 'unavailable'
  if (state === 100) return 'connected'
  return state > 30 && state < 100 ? 'connecting' : 'disconnected'
}

function addressOf(objects: Objects, { Ip4Config, Ip6Config }: Properties): Pick<Status, 'ip' | 'gateway' | 'dns'> {
  const [v4, v6] = (['IP4Config', 'IP6Config'] as const).map((name, index) =>
    objects.get(String(index === 0 ? Ip4Config : Ip6Config))?.get(`org.freedesktop.NetworkManager.${name}`),
  )
  const first = (config: Properties | undefined) => (config?.AddressData as Array<{ address?: string }> | undefined)?.[0]?.address
  const config = first(v4) === undefined && first(v6) !== undefined ? v6 : v4
  const servers = ((v4?.NameserverData ?? []) as Array<{ address?: string }>).map(({ address }) => String(address))
  const [ip, gateway] = [first(config), config?.Gateway]
  return {
    ...(ip !== undefined && { ip }),
    ...(typeof gateway === 'string' && gateway !== '' && { gateway }),
    ...(servers.length > 0 && { dns: servers }),
  }
}
