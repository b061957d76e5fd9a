import { defineContract, Type } from 'patchbay/plugin'

const Entry = Type.Object(
  {
    n: Type.Number({ description: 'Its number; a gap in the numbers is a loss.' }),
    time: Type.String({ description: 'ISO 8601, UTC.' }),
    kind: Type.String({ description: 'What happened; the README names the kinds and their further fields.' }),
  },
  { additionalProperties: true, description: 'A line of the audit. Texts in it may be from outside.' },
)

export const audit = defineContract({
  id: 'audit',
  description: 'Who did what: logins, refusals, sessions, commands, changes of the configuration, in files of its own.',
  capabilities: { host: true },
  subscribeRole: 'owner',
  settings: Type.Object(
    {
      fileMegabytes: Type.Integer({
        minimum: 1,
        maximum: 1000,
        default: 10,
        description: 'A file of this size is followed by a new one.',
      }),
      files: Type.Integer({ minimum: 2, maximum: 50, default: 5, description: 'Kept; the oldest is removed for a new one.' }),
    },
    { additionalProperties: false },
  ),
  commands: {
    'audit:recent': {
      description: 'The newest lines, newest first.',
      payload: Type.Union([
        Type.Null(),
        Type.Object(
          {
            limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100 })),
            before: Type.Optional(Type.Integer({ minimum: 1, description: 'Only lines with a lower number: the next page.' })),
          },
          { additionalProperties: false },
        ),
      ]),
      result: Type.Object({ entries: Type.Array(Entry) }),
      role: 'owner',
      inFlight: 2,
    },
  },
  events: {
    'audit:entry': { description: 'A line as it is written.', payload: Entry },
  },
  errors: {
    AUDIT_NOT_WRITTEN: 'The audit cannot be written. What happens is kept in memory for a while; see to the disk.',
    AUDIT_NOT_READ: 'The audit cannot be read. See to the disk.',
  },
})
