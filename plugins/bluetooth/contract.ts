import { defineContract, Type } from 'patchbay/plugin'

const kinds = [
  'audio',
  'input',
  'display',
  'phone',
  'computer',
  'network',
  'imaging',
  'wearable',
  'health',
  'toy',
  'unknown',
] as const

const BluetoothDevice = Type.Object({
  name: Type.Union([Type.String(), Type.Null()], {
    description: 'as the device calls itself, made fit to be shown; null if it has none',
  }),
  mac: Type.String({ description: 'such as 00:1A:7D:DA:71:13' }),
  rssi: Type.Union([Type.Number(), Type.Null()], { description: 'dBm; null while it is not heard' }),
  paired: Type.Boolean(),
  connected: Type.Boolean(),
  trusted: Type.Boolean({ description: 'may connect by itself and use services of this machine' }),
  blocked: Type.Boolean({ description: 'nothing of it is let through' }),
  battery: Type.Union([Type.Number(), Type.Null()], { description: 'percent; null if it does not tell' }),
  type: Type.Enum([...kinds]),
  canType: Type.Boolean({ description: 'keystrokes may come from it' }),
  icon: Type.String({ description: 'a name of the freedesktop.org icon naming specification; bluetooth if nothing is known' }),
})

const mac = Type.String({ pattern: '^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$', description: 'such as 00:1A:7D:DA:71:13' })
const closed = { additionalProperties: false } as const
const device = Type.Object({ mac }, closed)
const toggle = Type.Object({ on: Type.Boolean() }, closed)
const operator = { role: 'operator' } as const

export const bluetooth = defineContract({
  id: 'bluetooth',
  description: 'Bluetooth devices: scan, pair, connect',
  needs: {
    dbus: {
      'org.bluez': {
        package: 'bluez',
        unit: 'bluetooth.service',
        object: { interface: 'org.bluez.Adapter1', name: 'Bluetooth adapter' },
      },
    },
  },
  capabilities: { dbus: ['org.bluez'] },
  settings: Type.Object(
    {
      adapter: Type.String({
        default: '',
        pattern: '^(hci[0-9]{1,3}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5})?$',
        description: 'The adapter to use, as hci1 or by its address; the first if empty.',
      }),
      simulated: Type.Boolean({ default: false, description: 'An adapter and devices that are not real, instead.' }),
    },
    closed,
  ),
  commands: {
    'bluetooth:scan': {
      description: 'Looks for devices for 30 s, or until bluetooth:stop_scan; answered when the search has begun',
      result: Type.Object({ endsInMs: Type.Integer() }),
      timeoutMs: 15_000,
      ...operator,
    },
    'bluetooth:stop_scan': {
      description: "Ends this client's wish to scan; others may go on",
      ...operator,
    },
    'bluetooth:pair': {
      description:
        'Pairs a device and trusts it. Questions come as bluetooth:pairing; the deadline stands still meanwhile, for 60 s at most',
      payload: Type.Object({ mac, pin: Type.Optional(Type.String({ minLength: 1, maxLength: 16 })) }, closed),
      timeoutMs: 15_000,
      rate: { max: 5, windowMs: 30_000 },
      ...operator,
    },
    'bluetooth:pairing_answer': {
      description: 'Answers a question of bluetooth:pairing',
      payload: Type.Object(
        {
          id: Type.String({ maxLength: 64 }),
          accept: Type.Boolean({ description: 'false: the device is not paired' }),
          pin: Type.Optional(Type.String({ minLength: 1, maxLength: 16, description: 'what kind "enter" asks for' })),
        },
        closed,
      ),
      ...operator,
    },
    'bluetooth:unpair': {
      description: 'Forgets a device',
      payload: device,
      timeoutMs: 15_000,
      rate: { max: 5, windowMs: 30_000 },
      ...operator,
    },
    'bluetooth:connect': { description: 'Connects a paired device', payload: device, timeoutMs: 20_000, ...operator },
    'bluetooth:disconnect': { payload: device, ...operator },
    'bluetooth:trust': {
      description: 'Whether a paired device may connect by itself and use services of this machine',
      payload: Type.Object({ mac, trusted: Type.Boolean() }, closed),
      ...operator,
    },
    'bluetooth:power': { description: 'Switches the adapter on or off', payload: toggle, ...operator },
    'bluetooth:discoverable': {
      description: 'Whether other devices see this machine; the adapter ends it after its own time-out, 3 minutes by default',
      payload: toggle,
      ...operator,
    },
  },
  events: {
    'bluetooth:devices': {
      description: 'The devices that are paired, connected or near, 200 at most; told once a second at most',
      payload: Type.Array(BluetoothDevice),
      retained: true,
    },
    'bluetooth:status': {
      payload: Type.Object({
        powered: Type.Boolean(),
        discoverable: Type.Boolean(),
        discovering: Type.Boolean(),
        blocked: Type.Union([Type.Literal('none'), Type.Literal('soft'), Type.Literal('hard')], {
          description: 'rfkill keeps the adapter off: by a program, or by a switch on the machine',
        }),
        adapter: Type.Object({ name: Type.Union([Type.String(), Type.Null()]), mac: Type.String() }),
        connectedDevices: Type.Array(BluetoothDevice),
      }),
      retained: true,
    },
    'bluetooth:pairing': {
      description:
        'A question about the device that this client is pairing. The next one takes its place; the ack of bluetooth:pair ends them',
      payload: Type.Object({
        id: Type.String({ description: 'for bluetooth:pairing_answer' }),
        mac: Type.String(),
        name: Type.Union([Type.String(), Type.Null()]),
        kind: Type.Union([Type.Literal('compare'), Type.Literal('enter'), Type.Literal('show'), Type.Literal('risk')], {
          description:
            'compare: does the device show "number"; enter: the code of the device is wanted; show: type "number" on the device; risk: it can type and proved nothing',
        }),
        number: Type.Optional(Type.String()),
        entered: Type.Optional(Type.Number({ description: 'digits that were typed on the device so far' })),
        digits: Type.Optional(Type.Boolean({ description: '"enter" wants 1 to 6 digits, not any 1 to 16 characters' })),
        expiresInMs: Type.Number(),
      }),
      to: 'addressed',
    },
  },
  errors: {
    BT_NO_ADAPTER: 'This machine has no Bluetooth adapter.',
    BT_POWERED_OFF: 'Bluetooth is switched off.',
    BT_BLOCKED_BY_RFKILL: 'Bluetooth is blocked: sudo rfkill unblock bluetooth',
    BT_SERVICE_GONE: 'The Bluetooth service has stopped: sudo systemctl restart bluetooth',
    BT_NOT_PERMITTED: 'Patchbay may not use Bluetooth: its user must be in the group bluetooth.',
    BT_DEVICE_NOT_FOUND: 'No such device is known; scan while it is switched on and near.',
    BT_NOT_PAIRED: 'The device is not paired; pair it first.',
    BT_NOT_CONNECTED: 'The device is not connected.',
    BT_DEVICE_BLOCKED: 'The device is blocked; unpair it, and pair it again if it is yours.',
    BT_UNREACHABLE: 'The device did not answer; is it switched on, near, and in pairing mode?',
    BT_AUTH_FAILED: 'The pairing failed: a wrong code, or the device refused.',
    BT_AUTH_REJECTED: 'The device refused the pairing.',
    BT_AUTH_CANCELED: 'The pairing was cancelled.',
    BT_AUTH_TIMEOUT: 'The device took too long to pair.',
    BT_KEY_MISSING: 'The device has forgotten this machine; unpair it and pair it again.',
    BT_NO_PROFILE: 'The device has no service that this machine can use, or the program for it is not running.',
    BT_CONNECT_FAILED: 'The connection failed; try again.',
    BT_NOT_SUPPORTED: 'The adapter or the device cannot do this.',
    BT_IN_PROGRESS: 'Something of this kind is under way already; wait until it is done.',
    BT_DECLINED: 'The pairing was declined.',
    BT_NO_ANSWER: 'Nobody answered the question about the pairing in time.',
    BT_NO_QUESTION: 'This question is not, or no longer, being asked.',
    BT_FAILED: 'Bluetooth failed; try again.',
  },
})
