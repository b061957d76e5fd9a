import { AudioFailure } from './failure.ts'
import { type Exec, failureOf } from './pactl.ts'

const RATE = 48_000
const HZ = 880
const SECONDS = 0.8
/** Of full scale: 12 dB below it, so that it does not startle and mixes without clipping. */
const AMPLITUDE = 0.25
const FADE_SECONDS = 0.02
/** Enough for a sleeping Bluetooth speaker, less than the command has. */
const DEADLINE_MS = 4500

/** Plays a short tone on an output and resolves when it was played. */
export async function playTone(exec: Exec, output: string, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.timeout(DEADLINE_MS)
  const program = await exec.start(
    'pacat',
    [
      '--playback',
      `--device=${output}`,
      '--format=s16le',
      `--rate=${RATE}`,
      '--channels=2',
      // All of it on its way at once: a busy machine makes no gaps.
      '--latency-msec=1000',
      '--client-name=Patchbay',
      '--stream-name=Test sound',
      // Not as loud, nor where, a program of this name played before.
      '--volume=65536',
      '--property=state.restore-props=false',
      '--property=state.restore-target=false',
    ],
    { signal: AbortSignal.any([signal, deadline]) },
  )
  // How it ended says more than that it took no more.
  await program.write(tone()).catch(() => undefined)
  program.end()
  const { exitCode, stderr } = await program.ended
  if (deadline.aborted) throw new AudioFailure('AUDIO_FAILED', 'The output did not take the tone.')
  if (exitCode !== 0) throw failureOf(stderr)
}

/** Signed 16-bit little-endian samples of two channels; faded in and out, so that it does not click. */
function tone(): Buffer {
  const samples = Math.round(RATE * SECONDS)
  const pcm = Buffer.alloc(samples * 4)
  for (let i = 0; i < samples; i++) {
    const fade = Math.min(1, i / (RATE * FADE_SECONDS), (samples - i) / (RATE * FADE_SECONDS))
    const value = Math.round(AMPLITUDE * fade * 0x7fff * Math.sin((2 * Math.PI * HZ * i) / RATE))
    pcm.writeInt16LE(value, i * 4)
    pcm.writeInt16LE(value, i * 4 + 2)
  }
  return pcm
}
