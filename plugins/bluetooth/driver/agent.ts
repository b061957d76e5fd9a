import type { Dialogue } from './dialogue.ts'

export const agent = {
  path: '/org/patchbay/bluetooth/agent',
  interface: 'org.bluez.Agent1',
  capability: 'KeyboardDisplay',
} as const

interface Method {
  readonly in: string
  readonly out: string
  readonly handle: (args: readonly unknown[]) => unknown
}

export interface Household {
  /** The one pairing that is under way because a person asked for it. */
  pairing(): { readonly device: string; readonly dialogue: Dialogue } | undefined
  /** Whether a device may use services of this machine: it is paired, and somebody wanted it. */
  isWelcome(devicePath: string): boolean
  /** Told of what was refused. */
  refused(devicePath: string, what: 'pairing' | 'service'): void
}

const refusal = (name: 'Rejected' | 'Canceled') => Object.assign(new Error(name), { dbusName: `org.bluez.Error.${name}` })
const sixDigits = (passkey: unknown) => String(passkey).padStart(6, '0')

/**
 * The methods of `org.bluez.Agent1`: BlueZ asks them when a device is being paired, from whichever side, and when a device that is
 * not trusted wants to use a service. Whatever no person is waiting for is refused.
 */
export function agentMethods(household: Household): Readonly<Record<string, Method>> {
  const asked = async <T>(device: unknown, ask: (dialogue: Dialogue) => T | Promise<T>): Promise<T> => {
    const { device: expected, dialogue } = household.pairing() ?? {}
    if (!dialogue || device !== expected) {
      household.refused(String(device), 'pairing')
      throw refusal('Rejected')
    }
    try {
      return await ask(dialogue)
    } catch {
      throw refusal(dialogue.failure?.code === 'BT_DECLINED' ? 'Rejected' : 'Canceled')
    }
  }
  return {
    Release: { in: '', out: '', handle: () => undefined },
    Cancel: { in: '', out: '', handle: () => household.pairing()?.dialogue.cancel() },
    RequestPinCode: { in: 'o', out: 's', handle: ([device]) => asked(device, (dialogue) => dialogue.code(false)) },
    RequestPasskey: {
      in: 'o',
      out: 'u',
      handle: ([device]) => asked(device, async (dialogue) => Number(await dialogue.code(true))),
    },
    RequestConfirmation: {
      in: 'ou',
      out: '',
      handle: ([device, passkey]) => asked(device, (dialogue) => dialogue.compare(sixDigits(passkey))),
    },
    DisplayPinCode: { in: 'os', out: '', handle: ([device, pin]) => asked(device, (dialogue) => dialogue.show(String(pin), 0)) },
    DisplayPasskey: {
      in: 'ouq',
      out: '',
      handle: ([device, passkey, entered]) => asked(device, (dialogue) => dialogue.show(sixDigits(passkey), Number(entered))),
    },
    // The other side paired too, and there is no number to compare: what that means is looked at once it is paired.
    RequestAuthorization: { in: 'o', out: '', handle: ([device]) => asked(device, () => undefined) },
    AuthorizeService: {
      in: 'os',
      out: '',
      handle: ([device]) => {
        if (household.isWelcome(String(device))) return
        household.refused(String(device), 'service')
        throw refusal('Rejected')
      },
    },
  }
}
