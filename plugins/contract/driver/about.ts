/** What a reader of the document must know beside it. */
export const about = `Everything this machine's Patchbay takes and says over Socket.IO.

- A **channel** is a Socket.IO namespace. A message's \`name\` is the event name that is emitted.
- A \`receive\` operation is a **command**: emit it with one payload (or none) and an acknowledgement. It is answered once, with
  \`{ success: true, ... }\` or \`{ success: false, code, error, id, retryAfter? }\`. A command that fails is also told on \`error\`,
  with the same \`id\`.
- A \`send\` operation is an **event**. On a namespace of Patchbay's own policy a client hears a module's events after
  \`module:subscribe\`; on others, to connect is to subscribe.
- A module in any state is listed. Subscribing works in every state; commands are refused while it does not run.`

/** The extensions of this document. */
export const extensions = {
  'x-patchbay-module': 'On an operation: the module it belongs to. The core has none.',
  'x-patchbay-role':
    'On a command: the weakest built-in role (viewer, operator, owner) that may give it. Without: everybody who is let in.',
  'x-patchbay-roles':
    'On a command where the policy is not patchbay: the roles of a token of which one will do; `*` is any valid token. Without: everybody.',
  'x-patchbay-rate': 'On a command: how often one user may give it, at most `max` times in any `windowMs` milliseconds.',
  'x-patchbay-timeout-ms': 'On a command: milliseconds until it is answered TIMEOUT.',
  'x-patchbay-in-flight': 'On a command: how many of its kind a user may have unanswered at a time.',
  'x-patchbay-retained': 'On an event: the last value is kept and sent at once to a new subscriber.',
  'x-patchbay-to':
    'On an event: whom it reaches. `subscribers` of the module, all `connected` to the namespace, or who is `addressed`.',
  'x-patchbay-policy': "On a channel: who may connect. `patchbay` is Patchbay's own, with the handshake below.",
  'x-patchbay-handshake': 'What a client sends as `auth`, and with which words it may be refused (`connect_error`).',
  'x-patchbay-errors': "The core's error codes, each with a sentence.",
  'x-patchbay-modules':
    'Every module: description, version, builtin, state, simulated (its hardware is not real), namespace, policy, subscribeRole (the weakest role that may subscribe), errors (its own codes), routes (HTTP GET, with path, role and whether a token of the module also opens it).',
} as const

/** How a client of Patchbay's own policy comes in. */
export const handshake = {
  auth: {
    oneOf: [
      {
        type: 'object',
        properties: { initData: { type: 'string', description: 'Telegram.WebApp.initData, as it is.' } },
        required: ['initData'],
      },
      {
        type: 'object',
        properties: { sessionToken: { type: 'string', description: 'From the last auth:success, or the login page.' } },
        required: ['sessionToken'],
      },
    ],
  },
  accepted: 'auth:success is the first event; its sessionToken is for the next connect.',
  refused: {
    description: 'connect_error: `message` is the code, `data.reason` says why, `data.retryAfter` in seconds when to come back.',
    codes: ['AUTH_REQUIRED', 'AUTH_INVALID', 'ACCESS_DENIED', 'SESSION_EXPIRED'],
  },
} as const
