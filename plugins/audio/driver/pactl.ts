import { absentServer, deniedServer } from './absence.ts'
import { AudioFailure } from './failure.ts'

/** How programs are started: an argument list, never a shell. Rejects with `code` ENOENT, ETIMEDOUT, EFBIG or ABORT_ERR. */
export interface Exec {
  run(
    program: string,
    args: readonly string[],
    options?: { timeoutMs?: number },
  ): Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }>
  start(
    program: string,
    args: readonly string[],
    options?: { onStdout?: (piece: Uint8Array) => void; signal?: AbortSignal },
  ): Promise<{
    readonly ended: Promise<{ readonly exitCode: number; readonly stderr: string }>
    write(piece: Uint8Array): Promise<void>
    end(): void
    stop(): Promise<void>
  }>
}

/**
 * Tells programs which server to speak to by its socket: by the directory alone they take none whose owner is another user, as it is
 * for a service (scripts/service).
 */
export function inSession(exec: Exec): Exec {
  const server = () => `--server=unix:${process.env.XDG_RUNTIME_DIR ?? `/run/user/${process.getuid?.() ?? 0}`}/pulse/native`
  return {
    run: (program, args, options) => exec.run(program, [server(), ...args], options),
    start: (program, args, options) => exec.start(program, [server(), ...args], options),
  }
}

/** It answers within milliseconds; one that does not hangs. */
const TIMEOUT_MS = 2000

/** Gives the sound server a command, whatever server that is. Rejects with an AudioFailure. */
export async function pactl(exec: Exec, ...args: string[]): Promise<string> {
  const answer = await exec.run('pactl', args, { timeoutMs: TIMEOUT_MS }).catch((error: unknown) => {
    throw new AudioFailure('AUDIO_FAILED', 'The sound server did not answer.', { cause: error })
  })
  if (answer.exitCode !== 0) throw failureOf(answer.stderr)
  return answer.stdout
}

/** The same for what it tells as JSON. */
export async function ask(exec: Exec, ...args: string[]): Promise<unknown> {
  const text = await pactl(exec, '--format=json', ...args)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new AudioFailure('AUDIO_FAILED', 'The sound server said what is not understood.', { cause: error })
  }
}

/** What pactl and pacat mean by their last words. */
export function failureOf(stderr: string): AudioFailure {
  const cause = stderr.slice(-500)
  if (/access denied|permission denied|not authorized/i.test(stderr)) return deniedServer(cause)
  if (/connection failure|pa_context_connect|connection terminated/i.test(stderr)) return absentServer(cause)
  if (/no such entity/i.test(stderr))
    return new AudioFailure('AUDIO_OUTPUT_NOT_FOUND', 'There is no such output any more.', { cause })
  return new AudioFailure('AUDIO_FAILED', 'The sound server did not do it; try again.', { cause })
}
