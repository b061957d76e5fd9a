import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export type Block = 'none' | 'soft' | 'hard'

/** Whether the kernel keeps an adapter (`hci0`) switched off: `soft` by a program, `hard` by a switch on the machine. `directory` is for tests. */
export async function rfkillOf(adapter: string, directory = '/sys/class/bluetooth'): Promise<Block> {
  const device = join(directory, adapter)
  const entries = await readdir(device).catch(() => [])
  const isSet = async (entry: string, kind: string) =>
    (await readFile(join(device, entry, kind), 'utf8').catch(() => '')).trim() === '1'
  const switches = entries.filter((entry) => /^rfkill\d+$/.test(entry))
  for (const kind of ['hard', 'soft'] as const) for (const entry of switches) if (await isSet(entry, kind)) return kind
  return 'none'
}
