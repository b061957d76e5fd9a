import { defineContract, Type } from 'patchbay/plugin'

const orNull = <T extends ReturnType<typeof Type.Number>>(schema: T) => Type.Union([schema, Type.Null()])
const percent = Type.Number({ minimum: 0, maximum: 100 })
const count = Type.Number({ minimum: 0 })

const complaint = Type.Union([
  Type.Literal('under-voltage'),
  Type.Literal('frequency-capped'),
  Type.Literal('throttled'),
  Type.Literal('temperature-limit'),
])

/** Sizes in bytes, temperatures in degrees Celsius, traffic in bytes per second. */
const stats = Type.Object({
  cpu: Type.Object({
    usage: percent,
    temperature: orNull(Type.Number()),
    model: Type.String(),
    cores: Type.Integer({ minimum: 0 }),
    frequency: orNull(Type.Number({ description: 'MHz, now' })),
  }),
  memory: Type.Object({ total: count, used: count, free: count, available: count, percent }),
  disk: Type.Array(
    Type.Object({ filesystem: Type.String(), type: Type.String(), size: count, used: count, mount: Type.String(), percent }),
  ),
  network: Type.Array(
    Type.Object({
      iface: Type.String(),
      ip4: Type.String(),
      mac: Type.String(),
      speed: orNull(Type.Number({ description: 'Mbit/s' })),
      isUp: Type.Boolean(),
      rx: orNull(count),
      tx: orNull(count),
    }),
  ),
  uptime: Type.Number({ minimum: 0, description: 'Seconds since the machine started' }),
  underVoltage: Type.Optional(Type.Boolean()),
  fan: Type.Optional(Type.Object({ percent: orNull(percent), rpm: orNull(count) })),
  throttling: Type.Optional(Type.Object({ now: Type.Array(complaint), sinceStart: Type.Array(complaint) })),
})

const info = Type.Object({
  hostname: Type.String(),
  os: Type.Object({
    distro: Type.String(),
    release: Type.String(),
    codename: Type.String(),
    kernel: Type.String(),
    arch: Type.String(),
  }),
  hardware: Type.Object({ model: Type.String(), serial: Type.String() }),
})

const history = Type.Object({
  intervalS: Type.Integer({ minimum: 0 }),
  t: Type.Array(Type.Integer(), { description: 'Milliseconds since the epoch, oldest first' }),
  cpu: Type.Array(percent),
  memory: Type.Array(percent),
  temperature: Type.Array(orNull(Type.Number())),
  rx: Type.Array(count),
  tx: Type.Array(count),
})

const power = { role: 'owner', timeoutMs: 5000, rate: { max: 1, windowMs: 60_000 } } as const

export const system = defineContract({
  id: 'system',
  description: 'Figures of this machine: processor, memory, disks, network, temperature; its restart and shutdown',
  needs: {
    polkit: {
      'org.freedesktop.login1.reboot': 'system:reboot.',
      'org.freedesktop.login1.reboot-multiple-sessions': 'system:reboot while somebody is logged in.',
      'org.freedesktop.login1.power-off': 'system:shutdown.',
      'org.freedesktop.login1.power-off-multiple-sessions': 'system:shutdown while somebody is logged in.',
    },
  },
  capabilities: { dbus: ['org.freedesktop.login1'], exec: ['vcgencmd'] },
  settings: Type.Object(
    {
      historyIntervalS: Type.Integer({
        default: 10,
        minimum: 0,
        maximum: 3600,
        description: 'Seconds between two samples of the history; 0 keeps none',
      }),
      simulated: Type.Boolean({
        default: false,
        description: 'Figures of a machine that is not real, instead; its restart and its shutdown do nothing.',
      }),
    },
    { additionalProperties: false },
  ),
  commands: {
    'system:reboot': { ...power, description: 'Restarts the machine. Answered before it goes down' },
    'system:shutdown': { ...power, description: 'Switches the machine off. Answered before it goes down' },
  },
  events: {
    'system:stats': { description: 'Every 2 s while anyone is subscribed', payload: stats, retained: true },
    'system:info': { description: 'What does not change, on subscribe', payload: info, retained: true },
    'system:history': { description: 'The last hour in columns, on subscribe', payload: history, retained: true },
  },
  errors: {
    SYSTEM_REBOOT_FAILED: 'The restart was accepted but did not begin. The message says what systemd-logind answered.',
    SYSTEM_SHUTDOWN_FAILED: 'The shutdown was accepted but did not begin. The message says what systemd-logind answered.',
    SYSTEM_READ_FAILED: 'The figures of this machine could not be read. Is /proc mounted and readable for the daemon?',
  },
})
