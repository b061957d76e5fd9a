import { readLine } from './read.ts'

/** What a Raspberry Pi's firmware can complain of. */
export type Complaint = 'under-voltage' | 'frequency-capped' | 'throttled' | 'temperature-limit'

export interface Throttling {
  now: Complaint[]
  /** At some time since the machine started, as the firmware remembers. */
  sinceStart: Complaint[]
}

/** As much of the plugin's exec capability as this needs. */
export interface Programs {
  run(program: string, args: readonly string[], options?: { timeoutMs?: number }): Promise<{ exitCode: number; stdout: string }>
}

/** Bits 0 to 3 are now, 16 to 19 since the start: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled */
const COMPLAINTS: readonly Complaint[] = ['under-voltage', 'frequency-capped', 'throttled', 'temperature-limit']

export function isRaspberryPi(root: string): boolean {
  return readLine(`${root}/proc/device-tree/model`).startsWith('Raspberry Pi')
}

/** Asks the firmware through vcgencmd; undefined if that does not answer. Rejects if the program cannot be started. */
export async function readThrottling(programs: Programs): Promise<Throttling | undefined> {
  const { exitCode, stdout } = await programs.run('vcgencmd', ['get_throttled'], { timeoutMs: 2000 })
  const hex = /^throttled=(0x[\da-f]{1,8})\s*$/i.exec(stdout)?.[1]
  if (exitCode !== 0 || hex === undefined) return undefined
  const bits = Number(hex)
  const at = (shift: number) => COMPLAINTS.filter((_, bit) => (bits >>> (bit + shift)) & 1)
  return { now: at(0), sinceStart: at(16) }
}
