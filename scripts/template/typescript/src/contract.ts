import { defineContract, Type } from 'patchbay/plugin'

const load = Type.Object({
  perCore: Type.Number({ minimum: 0, description: 'Processes that ran or waited in the last minute, for each core.' }),
  isBusy: Type.Boolean({ description: 'More than the setting `busyAbove`.' }),
})

/** What the plugin declares: data only. The build writes it to contract.json, which is all that the host reads before it is enabled. */
export const contract = defineContract({
  id: 'sample',
  description: 'How busy the processors of this machine are.',
  needs: { devices: ['/proc/loadavg'] },
  // What an owner grants; nothing else outside the package is open to the plugin.
  capabilities: { files: { read: ['/proc/loadavg'] } },
  commands: {
    'sample:measure': {
      description: 'Measures now.',
      payload: Type.Object(
        { tell: Type.Boolean({ description: 'Subscribers hear the value too.' }) },
        { additionalProperties: false },
      ),
      result: load,
      role: 'operator',
      rate: { max: 10, windowMs: 10_000 },
    },
  },
  events: { 'sample:load': { description: 'While somebody is subscribed.', payload: load, retained: true } },
  settings: Type.Object(
    {
      everyMs: Type.Integer({ default: 2000, minimum: 100, maximum: 60_000 }),
      busyAbove: Type.Number({ default: 1, minimum: 0 }),
    },
    { additionalProperties: false },
  ),
  errors: { SAMPLE_UNREADABLE: 'The load of this machine cannot be read.' },
})
