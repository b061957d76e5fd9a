import { defineContract, Type } from 'patchbay/plugin'

const Security = Type.Enum(['Open', 'OWE', 'WEP', 'WPA', 'WPA2', 'WPA3', 'WPA2/WPA3', 'Enterprise'])
const Band = Type.Enum(['2.4 GHz', '5 GHz', '6 GHz'])
const ssid = Type.String({ description: 'bytes that are no text are escaped, such as \\xe9' })
const signal = Type.Number({ description: '0 to 100' })
const frequency = Type.Number({ description: 'MHz' })
/** An SSID has up to 32 bytes, each of which may be escaped. */
const Ssid = Type.String({ minLength: 1, maxLength: 128 })
const nothing = { additionalProperties: false } as const

/** WifiNetwork of the Pi Manager contract, and more. */
const WifiNetwork = Type.Object({
  ssid,
  bssid: Type.String(),
  signal,
  frequency,
  channel: Type.Number(),
  band: Band,
  security: Security,
  securities: Type.Optional(
    Type.Array(Security, { description: 'all that access points of this name offer, where they differ: one may be an impostor' }),
  ),
  connected: Type.Boolean(),
  saved: Type.Boolean({ description: 'it is joined without a password' }),
  supported: Type.Boolean({ description: 'false for what can only be joined once another tool has saved it' }),
})

/** WifiStatus of the Pi Manager contract, and more. */
const WifiStatus = Type.Object({
  connected: Type.Boolean(),
  ssid: Type.Optional(ssid),
  ip: Type.Optional(Type.String()),
  signal: Type.Optional(signal),
  speed: Type.Optional(Type.String({ description: 'such as "72 Mbps"' })),
  gateway: Type.Optional(Type.String()),
  dns: Type.Optional(Type.Array(Type.String())),
  device: Type.Optional(Type.String({ description: 'such as wlan0' })),
  radio: Type.Boolean({ description: 'whether it may transmit' }),
  state: Type.Enum(['unavailable', 'disconnected', 'connecting', 'connected']),
  bssid: Type.Optional(Type.String()),
  security: Type.Optional(Security),
  frequency: Type.Optional(frequency),
  band: Type.Optional(Band),
})

const Saved = Type.Object({
  ssid,
  security: Security,
  hidden: Type.Boolean(),
  autoconnect: Type.Boolean(),
  lastUsed: Type.Union([Type.Number({ description: 'ms since 1970' }), Type.Null()]),
})

const change = { role: 'operator', timeoutMs: 20_000, rate: { max: 3, windowMs: 30_000 } } as const

export const wifi = defineContract({
  id: 'wifi',
  description: 'Wi-Fi through NetworkManager: networks in reach, joining and leaving them',
  needs: {
    dbus: { 'org.freedesktop.NetworkManager': { package: 'network-manager', unit: 'NetworkManager.service' } },
    polkit: {
      'org.freedesktop.NetworkManager.network-control': 'Joining and leaving networks.',
      'org.freedesktop.NetworkManager.wifi.scan': 'Looking for networks.',
      'org.freedesktop.NetworkManager.enable-disable-wifi': 'Switching the radio on and off.',
      'org.freedesktop.NetworkManager.settings.modify.system': 'Saving and forgetting networks.',
      'org.freedesktop.NetworkManager.checkpoint-rollback': 'Undoing a change that cuts the connection.',
    },
  },
  capabilities: { dbus: ['org.freedesktop.NetworkManager'] },
  settings: Type.Object(
    { simulated: Type.Boolean({ default: false, description: 'A device and networks that are not real, instead.' }) },
    nothing,
  ),
  commands: {
    'wifi:scan': {
      description: 'Looks for networks; answered when the list is new.',
      role: 'operator',
      timeoutMs: 15_000,
      rate: { max: 6, windowMs: 30_000 },
    },
    'wifi:connect': {
      description: 'Joins a network; answered when it is joined, or has failed and the one before is being joined again.',
      payload: Type.Object(
        {
          ssid: Ssid,
          password: Type.Optional(Type.String({ maxLength: 64, description: 'none for an open or a saved network' })),
          hidden: Type.Optional(Type.Boolean({ description: 'it does not tell its name' })),
          security: Type.Optional(Type.Enum(['WPA2', 'WPA3'])),
        },
        nothing,
      ),
      ...change,
    },
    'wifi:disconnect': { description: 'Leaves the network and stays away from it.', ...change, timeoutMs: 10_000 },
    'wifi:forget': {
      description: 'Deletes what is saved of a network, and leaves it.',
      payload: Type.Object({ ssid: Ssid }, nothing),
      ...change,
      timeoutMs: 10_000,
    },
    'wifi:radio': {
      description: 'Switches the radio on or off.',
      payload: Type.Object({ enabled: Type.Boolean() }, nothing),
      ...change,
      timeoutMs: 10_000,
    },
  },
  events: {
    'wifi:networks': {
      description: 'The networks in reach, at most 200, once a scan was made.',
      payload: Type.Array(WifiNetwork),
      retained: true,
    },
    'wifi:status': { description: 'What the Wi-Fi device is connected to.', payload: WifiStatus, retained: true },
    'wifi:saved': { description: 'The saved networks, the latest in use first.', payload: Type.Array(Saved), retained: true },
  },
  errors: {
    WIFI_AUTH_FAILED: 'The network refused the password.',
    WIFI_BUSY: 'The Wi-Fi device is joining a network just now. Try again in a moment.',
    WIFI_DEVICE_REMOVED: 'The Wi-Fi device was removed.',
    WIFI_DISCONNECTED: 'Somebody disconnected the Wi-Fi device meanwhile.',
    WIFI_FAILED: 'NetworkManager could not do it.',
    WIFI_NO_DEVICE: 'This machine has no Wi-Fi device that NetworkManager manages.',
    WIFI_NO_DHCP: 'The network gave this machine no address (DHCP).',
    WIFI_NOT_FOUND: 'The network is not in reach.',
    WIFI_NOT_SAVED: 'No network of this name is saved.',
    WIFI_PASSWORD_INVALID: 'This cannot be the password: one of WPA has 8 to 63 characters, or 64 hexadecimal digits.',
    WIFI_PASSWORD_REQUIRED: 'The network asks for a password.',
    WIFI_PERMISSION: "Patchbay's user may not do this.",
    WIFI_RADIO_OFF: 'The Wi-Fi radio is switched off.',
    WIFI_ROLLED_BACK: 'Nobody was heard of after the change, so it was undone.',
    WIFI_SCAN_FAILED: 'The Wi-Fi device did not finish looking for networks.',
    WIFI_SERVICE_LOST: 'NetworkManager stopped meanwhile.',
    WIFI_SSID_INVALID: "A network's name has 1 to 32 bytes.",
    WIFI_SUPERSEDED: 'Somebody asked for something else meanwhile.',
    WIFI_SUPPLICANT: 'The Wi-Fi device and the access point could not agree.',
    WIFI_TWIN:
      'The network of this name that is in reach is secured otherwise than the saved one, or than the password is for. It may be an impostor.',
    WIFI_UNSUPPORTED: 'Patchbay cannot join a network of this kind.',
  },
})
