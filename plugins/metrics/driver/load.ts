import { type Family, single } from './exposition.ts'

const states = ['disabled', 'unavailable', 'starting', 'running', 'failed', 'quarantined', 'stopping'] as const

/** What the host tells of itself. */
interface Load {
  readonly clients: number
  readonly sessions: number
  /** Subscribers by module. */
  readonly subscriptions: Readonly<Record<string, number>>
  readonly plugins: readonly Plugin[]
}

/** A package that was found; two may claim the same id, and then one of them has failed for that. */
interface Plugin {
  readonly id: string
  readonly version: string
  readonly state: (typeof states)[number]
  readonly restarts: number
  readonly failures: number
  readonly unanswered: number
  readonly process?: {
    readonly cpuS: number
    readonly rss: number
    readonly ownMemory: number
    readonly loopDelayMs: number
    readonly waiting: number
  }
}

/** Of plugins in a process of their own; of those in the host's nobody can tell. */
const processFigures: ReadonlyArray<
  Omit<Family, 'samples'> & { readonly figure: (process: NonNullable<Plugin['process']>) => number }
> = [
  {
    name: 'patchbay_plugin_cpu_seconds_total',
    type: 'counter',
    help: "CPU time of a plugin's own process.",
    figure: ({ cpuS }) => cpuS,
  },
  {
    name: 'patchbay_plugin_resident_memory_bytes',
    type: 'gauge',
    help: "Resident memory of a plugin's own process.",
    figure: ({ rss }) => rss,
  },
  {
    name: 'patchbay_plugin_own_memory_bytes',
    type: 'gauge',
    help: 'Of that what it shares with no other, which is what its limit is for.',
    figure: ({ ownMemory }) => ownMemory,
  },
  {
    name: 'patchbay_plugin_eventloop_lag_seconds',
    type: 'gauge',
    help: "How late the event loop of a plugin's own process was at its last sign of life.",
    figure: ({ loopDelayMs }) => loopDelayMs / 1000,
  },
  {
    name: 'patchbay_plugin_messages_waiting',
    type: 'gauge',
    help: "Messages to a plugin's own process that it has not read yet.",
    figure: ({ waiting }) => waiting,
  },
]

/** How much of everything there is now, and how the plugins are. The version is that of the plugin `host`, which is released with the host. */
export function loadFamilies({ clients, sessions, subscriptions, plugins }: Load): Family[] {
  const byId = [...new Set(plugins.map(({ id }) => id))].map((id) => ({
    labels: { plugin: id },
    packages: plugins.filter((plugin) => plugin.id === id),
  }))
  const sum = (packages: readonly Plugin[], figure: (plugin: Plugin) => number) =>
    packages.reduce((total, plugin) => total + figure(plugin), 0)
  const version = plugins.find(({ id, state }) => id === 'host' && state === 'running')?.version ?? ''
  return [
    {
      name: 'patchbay_build_info',
      type: 'gauge',
      help: 'Always 1; the versions of Patchbay and Node.js are its labels.',
      samples: [{ labels: { version, node_version: process.version }, value: 1 }],
    },
    single('patchbay_clients', 'gauge', 'Connected sockets.', clients),
    single('patchbay_sessions', 'gauge', 'Logins that have not ended.', sessions),
    {
      name: 'patchbay_subscriptions',
      type: 'gauge',
      help: 'Clients subscribed to a module.',
      samples: Object.entries(subscriptions).map(([module, value]) => ({ labels: { module }, value })),
    },
    {
      name: 'patchbay_plugin_state',
      type: 'gauge',
      help: 'For each plugin 1 at the state that it is in, and 0 at the others (packages, where two claim one id).',
      samples: byId.flatMap(({ labels, packages }) =>
        states.map((state) => ({
          labels: { ...labels, state },
          value: sum(packages, (plugin) => (plugin.state === state ? 1 : 0)),
        })),
      ),
    },
    {
      name: 'patchbay_plugin_restarts_total',
      type: 'counter',
      help: 'Starts of a plugin after its first, since the host started.',
      samples: byId.map(({ labels, packages }) => ({ labels, value: sum(packages, ({ restarts }) => restarts) })),
    },
    {
      name: 'patchbay_plugin_failures_total',
      type: 'counter',
      help: 'Starts and runs of a plugin that failed, since the host started.',
      samples: byId.map(({ labels, packages }) => ({ labels, value: sum(packages, ({ failures }) => failures) })),
    },
    {
      name: 'patchbay_plugin_commands_unanswered',
      type: 'gauge',
      help: 'Commands that a plugin has not answered yet.',
      samples: byId.map(({ labels, packages }) => ({ labels, value: sum(packages, ({ unanswered }) => unanswered) })),
    },
    ...processFigures.map(({ figure, ...family }) => ({
      ...family,
      samples: plugins.flatMap(({ id, process }) => (process ? [{ labels: { plugin: id }, value: figure(process) }] : [])),
    })),
  ]
}
