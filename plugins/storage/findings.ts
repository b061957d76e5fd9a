import type { Finding } from 'patchbay/plugin'
import type { Reading } from './driver/storage.ts'

/** What somebody is told who asks which drives can be read. */
export function findings({ asked }: Pick<Reading, 'asked'>): Finding[] {
  return asked.map(({ device, failure }) => ({
    kind: 'drive',
    name: device,
    ok: failure === null,
    optional: true,
    sentence: failure?.message ?? 'Its health can be read.',
    ...(failure?.mend && { mend: failure.mend }),
  }))
}
