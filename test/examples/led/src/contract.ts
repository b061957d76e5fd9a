import { defineContract, Type } from 'patchbay/plugin'

const name = Type.String({ minLength: 1, maxLength: 64, description: 'As its directory is named.' })
const light = Type.Object({
  name,
  isOn: Type.Boolean(),
  brightness: Type.Integer({ minimum: 0 }),
  max: Type.Integer({ minimum: 0, description: 'The brightest that it can be.' }),
  trigger: Type.String({ description: 'What lights it: `none`, or such as `mmc0`.' }),
})

export const contract = defineContract({
  id: 'led',
  description: 'The LEDs of this machine: which are lit, and by what; switching them.',
  // Without any LED the plugin is unavailable.
  needs: { devices: ['/sys/class/leds/*'] },
  // What an owner agrees to; nothing else outside the package is open to it.
  capabilities: { files: { write: ['/sys/class/leds'] } },
  commands: {
    'led:set': {
      description: 'Switches an LED on, as bright as it can be, or off. Whatever lit it until now lets go of it.',
      payload: Type.Object({ name, on: Type.Boolean() }, { additionalProperties: false }),
      role: 'operator',
      rate: { max: 20, windowMs: 5000 },
    },
  },
  events: {
    'led:lights': {
      description: 'All LEDs that are not hidden, when one of them is switched and when somebody subscribes.',
      payload: Type.Array(light),
      retained: true,
    },
  },
  settings: Type.Object(
    { hide: Type.Array(name, { default: [], maxItems: 64, description: 'LEDs that are neither shown nor switched.' }) },
    { additionalProperties: false },
  ),
  errors: {
    LED_UNKNOWN: 'There is no LED of this name.',
    LED_NOT_WRITABLE: 'This LED cannot be switched by the user that Patchbay runs as. `patchbay doctor` tells what mends it.',
  },
})
