import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { isAbsolute } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { Exec, ExecResult, Program } from '../plugin/capabilities.ts'
import { mark } from './sweep.ts'

const MAX_UNREAD = 1024 * 1024
const MAX_STDERR = 8 * 1024

/** Where programs are looked for: the absolute directories of PATH, then the usual ones (nvme lives in an sbin). */
export function searchPath(path = process.env.PATH ?? ''): string[] {
  const usual = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  return [...new Set(`${path}:${usual}`.split(':').filter((directory) => directory.startsWith('/')))]
}

/** Where the session of the user of this process would have its sockets. */
export function sessionDirectory(): string {
  const named = process.env.XDG_RUNTIME_DIR
  return named && isAbsolute(named) ? named : `/run/user/${process.getuid?.() ?? 0}`
}

/**
 * The capability: starting the programs that the contract names, in `/`. Each leads a process group of its own, and nothing in
 * that group outlives it. With `session` they are told where the user's session is.
 */
export function createExec(allowed: readonly string[], { session = false } = {}): Exec {
  const begin = <Stdin extends Writable | null>(
    program: string,
    args: readonly string[],
    stdin: Stdin extends null ? 'ignore' : 'pipe',
    signal: AbortSignal | undefined,
  ) => {
    if (!allowed.includes(program) || program.includes('/')) throw failed(program, 'EPERM', 'is not named in the contract')
    if (signal?.aborted) throw failed(program, 'ABORT_ERR', 'was not started: aborted')
    const env = {
      PATH: searchPath().join(':'),
      HOME: process.env.HOME ?? '/',
      LANG: 'C.UTF-8',
      LC_ALL: 'C.UTF-8',
      ...(session && { XDG_RUNTIME_DIR: sessionDirectory() }),
      // That of a plugin's own process, by which all that belongs to it is found.
      ...(process.env[mark] && { [mark]: process.env[mark] }),
    }
    const child = spawn(program, args, { cwd: '/', env, stdio: [stdin, 'pipe', 'pipe'], detached: true })
    child.on('exit', () => killGroup(child.pid))
    return child as unknown as ChildProcessByStdio<Stdin, Readable, Readable>
  }

  return {
    async run(program, args, { timeoutMs = 10_000, maxBytes = 1024 * 1024, signal } = {}) {
      const child = begin<null>(program, args, 'ignore', signal)
      return new Promise<ExecResult>((resolve, reject) => {
        // Answers without waiting for the end: a program that hangs in a device's driver does not even die of SIGKILL.
        const kill = (code: string, why: string) => {
          reject(failed(program, code, `was killed: ${why}`))
          killGroup(child.pid)
          child.stdout.destroy()
          child.stderr.destroy()
        }
        const onAbort = () => kill('ABORT_ERR', 'aborted')
        const deadline = setTimeout(kill, timeoutMs, 'ETIMEDOUT', `it took more than ${timeoutMs} ms`)
        signal?.addEventListener('abort', onAbort)

        const output = { stdout: '', stderr: '' }
        let bytes = 0
        for (const name of ['stdout', 'stderr'] as const) {
          child[name].setEncoding('utf8').on('data', (text: string) => {
            output[name] += text
            bytes += Buffer.byteLength(text)
            if (bytes > maxBytes) kill('EFBIG', `it wrote more than ${maxBytes} bytes`)
          })
        }
        child.on('error', (error) => reject(notStarted(program, error)))
        child.on('close', (code, killedBy) => {
          clearTimeout(deadline)
          signal?.removeEventListener('abort', onAbort)
          resolve({ exitCode: exitCode(code, killedBy), ...output })
        })
      })
    },

    async start(program, args, { onStdout, signal } = {}) {
      const child = begin<Writable>(program, args, 'pipe', signal)
      const kill = () => void killGroup(child.pid)
      signal?.addEventListener('abort', kill)
      let stderr = ''
      child.stdout.on('data', (piece: Buffer) => onStdout?.(piece))
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr = (stderr + text).slice(-MAX_STDERR)
      })
      // Whoever writes is told.
      child.stdin.on('error', () => undefined)
      // What got away from its group may hold these open.
      const close = () => {
        child.stdout.destroy()
        child.stderr.destroy()
      }
      child.on('exit', () => setTimeout(close, 500).unref())
      const ended = new Promise<Omit<ExecResult, 'stdout'>>((resolve) => {
        child.on('close', (code, killedBy) => {
          signal?.removeEventListener('abort', kill)
          resolve({ exitCode: exitCode(code, killedBy), stderr })
        })
      })
      await once(child, 'spawn').catch((error: Error) => {
        throw notStarted(program, error)
      })
      return {
        ended,
        async write(piece) {
          if (child.stdin.writableLength > MAX_UNREAD) throw failed(program, 'ENOBUFS', 'does not read its input')
          await new Promise<void>((resolve, reject) => {
            child.stdin.write(piece, (error) => (error ? reject(failed(program, 'EPIPE', 'takes no more input')) : resolve()))
          })
        },
        end: () => void child.stdin.end(),
        async stop() {
          kill()
          await ended
        },
      } satisfies Program
    },
  }
}

function failed(program: string, code: string, what: string): Error {
  return Object.assign(new Error(`The program ${program} ${what}.`), { code })
}

function notStarted(program: string, { code = 'EIO' }: NodeJS.ErrnoException): Error {
  return failed(program, code, code === 'ENOENT' ? 'is not installed' : `could not be started (${code})`)
}

function exitCode(code: number | null, killedBy: NodeJS.Signals | null): number {
  return code ?? 128 + constants.signals[killedBy as NodeJS.Signals]
}

function killGroup(leader: number | undefined): boolean {
  try {
    return process.kill(-(leader as number), 'SIGKILL')
  } catch {
    return false // nothing of it is left, or what is left belongs to another user (a set-uid program)
  }
}
