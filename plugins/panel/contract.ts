import { defineContract, Type } from 'patchbay/plugin'

const schema = Type.Optional(Type.Unknown({ description: 'A JSON Schema.' }))
const description = Type.Optional(Type.String())
const role = Type.Enum(['viewer', 'operator', 'owner'])

const Command = Type.Object({
  name: Type.String(),
  description,
  payload: schema,
  role: Type.Enum(['viewer', 'operator', 'owner'], { description: 'The weakest built-in role that may give it.' }),
  timeoutMs: Type.Number({ description: 'Milliseconds until it is answered TIMEOUT.' }),
})
const Event = Type.Object({ name: Type.String(), description, payload: schema, retained: Type.Boolean() })

const Module = Type.Object({
  id: Type.String(),
  description,
  version: Type.String(),
  builtin: Type.Boolean({ description: 'It comes with Patchbay.' }),
  namespace: Type.String(),
  isReachable: Type.Boolean({ description: "It is on the app's own namespace. Of others no commands and events are listed." }),
  subscribeRole: role,
  commands: Type.Array(Command),
  events: Type.Array(Event),
  panel: Type.Optional(
    Type.String({ description: "Path of the page that a third party's own panel is shown in, inside a sandboxed frame." }),
  ),
  errors: Type.Record(Type.String(), Type.String()),
})

export const panel = defineContract({
  id: 'panel',
  description: 'The app: this machine in Telegram and in any browser.',
  capabilities: { host: true },
  commands: {
    'panel:me': {
      description: 'Who asks, so that the app offers what he may do.',
      result: Type.Object({ userId: Type.String(), roles: Type.Array(Type.String()) }),
      role: 'viewer',
    },
  },
  events: {
    'panel:modules': {
      description: 'Every module with what it takes and says, whatever state it is in.',
      payload: Type.Array(Module),
      retained: true,
    },
  },
})
