export type Kind =
  | 'audio'
  | 'input'
  | 'display'
  | 'phone'
  | 'computer'
  | 'network'
  | 'imaging'
  | 'wearable'
  | 'health'
  | 'toy'
  | 'unknown'

/** What a device says of itself. All of it is a claim. */
export interface Claims {
  /** Class of device of BR/EDR (Assigned Numbers, 2.8), or undefined. */
  readonly class: number | undefined
  /** GAP appearance of LE (Assigned Numbers, 2.6), or undefined. */
  readonly appearance: number | undefined
  /** Services, as lower-case UUIDs of 128 bits. */
  readonly services: readonly string[]
}

/** Major device classes, bits 8 to 12. */
const majors: Readonly<Record<number, Kind>> = {
  1: 'computer',
  2: 'phone',
  3: 'network',
  4: 'audio',
  5: 'input',
  6: 'imaging',
  7: 'wearable',
  8: 'toy',
  9: 'health',
}
/** Minor classes of audio and video that are screens. */
const screens = [14, 15]
/** Bits of the minor class of imaging and of peripherals. */
const [imagingDisplay, peripheralKeyboard] = [0x10, 0x40]

/** Categories of appearance, its bits 6 to 15. */
const categories: Readonly<Record<number, Kind>> = {
  1: 'phone',
  2: 'computer',
  3: 'wearable',
  5: 'display',
  6: 'input',
  7: 'wearable',
  10: 'audio',
  11: 'input',
  12: 'health',
  13: 'health',
  14: 'health',
  15: 'input',
  16: 'health',
  33: 'audio',
  34: 'audio',
  37: 'audio',
  41: 'audio',
  42: 'input',
  43: 'display',
}
/** Appearances of which keystrokes come: unspecified and keyboards of the HID category, and what reads bar codes. */
const typing = [960, 961, 968]
const typingCategories = [6, 11]

/** Services by which a kind is known when class and appearance say nothing. */
const known: ReadonlyArray<readonly [Kind, readonly number[]]> = [
  ['input', [0x1124, 0x1812]],
  ['phone', [0x1112, 0x111f, 0x112f]],
  ['audio', [0x1108, 0x110a, 0x110b, 0x111e, 0x184e, 0x1854]],
  ['health', [0x1808, 0x1809, 0x180d, 0x1810, 0x181f]],
  ['network', [0x1115, 0x1116]],
]
/** Human interface devices, of BR/EDR and of LE. */
const humanInterface = [0x1124, 0x1812]

const long = (service: number) => `0000${service.toString(16)}-0000-1000-8000-00805f9b34fb`

export function kindOf({ class: deviceClass = 0, appearance = 0, services }: Claims): Kind {
  const major = (deviceClass >> 8) & 0x1f
  const minor = (deviceClass >> 2) & 0x3f
  if (major === 4 && screens.includes(minor)) return 'display'
  if (major === 6 && deviceClass & imagingDisplay) return 'display'
  const told = majors[major] ?? categories[appearance >> 6]
  return told ?? known.find(([, ids]) => ids.some((id) => services.includes(long(id))))?.[0] ?? 'unknown'
}

/**
 * Whether keystrokes may come from it: it calls itself a keyboard, or offers the service of input devices without being known for one
 * that has no keys. A mouse is believed to be one; a headset that also offers input is not.
 */
export function canType(claims: Claims): boolean {
  const { class: deviceClass = 0, appearance = 0, services } = claims
  const isPeripheral = ((deviceClass >> 8) & 0x1f) === 5
  if (isPeripheral && deviceClass & peripheralKeyboard) return true
  if (typing.includes(appearance) || typingCategories.includes(appearance >> 6)) return true
  const isKnown = (isPeripheral && (deviceClass & 0xfc) !== 0) || appearance >> 6 === 15
  return !isKnown && humanInterface.some((id) => services.includes(long(id)))
}
