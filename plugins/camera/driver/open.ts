import { rm } from 'node:fs/promises'
import { notStarted } from './diagnose.ts'
import type { Input } from './source.ts'
import type { Exec } from './types.ts'

/** Programs that have a camera open. */
export interface Opened {
  /** Resolves when they have ended and the camera is free, with what they said last. */
  readonly ended: Promise<{ readonly exitCode: number; readonly stderr: string }>
}

/** Opens a camera and makes of it what `output` says to ffmpeg; until `end` is aborted. Rejects with a CameraFailure. */
export async function open(
  exec: Exec,
  {
    input,
    level = 'error',
    before = [],
    output,
    onStdout,
  }: {
    input: Input
    level?: string
    before?: readonly string[]
    output: readonly string[]
    onStdout?: (piece: Uint8Array) => void
  },
  end: AbortController,
): Promise<Opened> {
  const { signal } = end
  const { feeder, script } = input
  const clear = async () => {
    if (feeder) await rm(feeder.pipe, { force: true })
  }
  try {
    const feeding = feeder && (await exec.start(feeder.program, feeder.args, { signal }))
    const said = ['-hide_banner', '-loglevel', level, ...(script ? [] : ['-nostdin'])]
    const args = [...said, '-copyts', ...before, ...input.args, ...output]
    const program = await exec.start('ffmpeg', args, onStdout ? { signal, onStdout } : { signal })
    if (script) await program.write(script).catch(() => undefined)
    program.end()
    const parts = [program, ...(feeding ? [feeding] : [])]
    // When one of the two has ended, the other has nothing to do.
    const ends = Promise.all(parts.map((part) => part.ended.finally(() => end.abort())))
    return {
      ended: ends.then(async (all) => {
        await clear()
        return { exitCode: all[0]?.exitCode ?? 1, stderr: all.map(({ stderr }) => stderr).join('\n') }
      }),
    }
  } catch (error) {
    end.abort()
    await clear()
    throw notStarted(error)
  }
}
