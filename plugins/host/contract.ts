import { defineContract, Type } from 'patchbay/plugin'

const standing = {
  state: Type.Enum(['disabled', 'unavailable', 'starting', 'running', 'failed', 'quarantined', 'stopping']),
  reason: Type.Optional(Type.String({ description: 'A sentence: why, and what mends it.' })),
}
const Ask = Type.Object({
  grant: Type.String({ description: 'Such as `dbus:org.bluez`.' }),
  sentence: Type.String({ description: 'What granting it means.' }),
})
const Outcome = Type.Object(standing, { description: 'The state that it came to rest in.' })

const PluginStatus = Type.Object({
  id: Type.String(),
  ...standing,
  description: Type.Optional(Type.String()),
  version: Type.String(),
  builtin: Type.Boolean({ description: 'It comes with Patchbay.' }),
  namespace: Type.String(),
  runIn: Type.Enum(['host', 'process'], { description: "Where its code runs: in the daemon's process, or in one of its own." }),
  containment: Type.Optional(
    Type.Object(
      { level: Type.Enum(['contained', 'partly', 'not contained']), sentence: Type.String() },
      { description: 'How well it is kept from what it was not granted; of what does not come with Patchbay.' },
    ),
  ),
  asks: Type.Optional(Type.Array(Ask, { description: 'What it asks for and was not granted; until then it stays off.' })),
  restartPending: Type.Optional(Type.Boolean({ description: 'Its code changed; a restart of Patchbay loads it.' })),
  simulated: Type.Optional(Type.Boolean({ description: 'Its settings ask for hardware that is not real.' })),
  since: Type.Number({ description: 'Milliseconds since the epoch.' }),
})

const Session = Type.Object({
  id: Type.String(),
  userId: Type.String(),
  name: Type.String(),
  createdAt: Type.Number({ description: 'Milliseconds since the epoch.' }),
  lastUsedAt: Type.Number(),
  expiresAt: Type.Number(),
  clients: Type.Number({ description: 'Connected sockets.' }),
  current: Type.Boolean({ description: 'The one that asks.' }),
  refusedTokens: Type.Array(Type.Object({ at: Type.Number(), address: Type.String() }), {
    description: 'Attempts to use a token that had been replaced: a copy of it may be in other hands.',
  }),
})

const Finding = Type.Object({
  kind: Type.String({
    description: '`dbus`, `tool`, `device`, `session`, `polkit`, `group`, or what the host or a driver looked for.',
  }),
  name: Type.String(),
  ok: Type.Boolean(),
  optional: Type.Boolean({ description: 'The plugin runs without it.' }),
  sentence: Type.String(),
  mend: Type.Optional(Type.String({ description: 'A command to paste on the machine.' })),
})
const Diagnosis = Type.Object({ id: Type.String(), ...standing, findings: Type.Array(Finding) })

const Id = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) }, { additionalProperties: false })
const Grants = Type.Object(
  { ...Id.properties, grants: Type.Optional(Type.Array(Type.String({ maxLength: 512 }), { maxItems: 256 })) },
  { additionalProperties: false },
)
/** Answered when the plugin has come to rest: a stop and a start, at their deadlines. */
const onPlugin = { payload: Id, result: Outcome, role: 'owner', timeoutMs: 30_000 } as const
const all = { all: Type.Optional(Type.Boolean({ description: "Everyone's, not one's own; for owners." })) }

export const host = defineContract({
  id: 'host',
  description: 'The host itself: its plugins, its configuration, its sessions.',
  capabilities: { host: true, dbus: ['org.freedesktop.PolicyKit1'] },
  commands: {
    'host:enable': {
      ...onPlugin,
      payload: Grants,
      description:
        'Switches a plugin on, in plugins.json, and grants it what it asks for: all of it must be named, unless it was granted before.',
    },
    'host:disable': { ...onPlugin, description: 'Switches a plugin off, in plugins.json.' },
    'host:restart': { ...onPlugin, description: 'Stops and starts a plugin.' },
    'host:release': { ...onPlugin, description: 'Lets a plugin out of quarantine and starts it.' },
    'host:doctor': {
      description: 'Looks for what the host and every plugin need.',
      result: Type.Object({ plugins: Type.Array(Diagnosis) }),
      role: 'owner',
      timeoutMs: 30_000,
      rate: { max: 6, windowMs: 60_000 },
      inFlight: 1,
    },
    'host:sessions': {
      description: 'Lists sessions.',
      payload: Type.Union([Type.Null(), Type.Object(all, { additionalProperties: false })]),
      result: Type.Object({ sessions: Type.Array(Session) }),
      role: 'viewer',
    },
    'host:revoke': {
      description: 'Ends a session: its sockets are closed, and init data of its user that was signed before is refused.',
      payload: Id,
      role: 'viewer',
    },
  },
  events: {
    'host:plugins': { description: 'Every plugin with its state.', payload: Type.Array(PluginStatus), retained: true },
    'host:config': {
      description: 'What is wrong in the configuration files; the last good content is in force.',
      payload: Type.Object({
        problems: Type.Array(Type.Object({ file: Type.String(), line: Type.Number(), message: Type.String() })),
      }),
      retained: true,
    },
    'host:session_alert': {
      description: "A replaced token of one of one's own sessions was used again.",
      payload: Type.Object({ session: Type.String(), at: Type.Number(), address: Type.String() }),
      to: 'addressed',
    },
  },
  errors: {
    HOST_NO_PLUGIN: 'There is no plugin with this id.',
    HOST_NO_SESSION: 'You have no session with this id.',
    HOST_ASKS_FOR_MORE: 'The plugin asks for something that was not granted.',
    HOST_NOT_POSSIBLE: 'This cannot be done.',
  },
})
