import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Exec, ExecResult } from '../plugin/capabilities.ts'

/** Where programs are looked for: the absolute directories of PATH, then the usual ones (nvme lives in an sbin). */
export function searchPath(path = process.env.PATH ?? ''): string[] {
  const usual = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  return [...new Set(`${path}:${usual}`.split(':').filter((directory) => directory.startsWith('/')))]
}

/**
 * The capability: starting the programs that the contract names, in `/`, without input. Each leads a process group of its
 * own, and nothing in that group outlives it.
 */
export function createExec(allowed: readonly string[]): Exec {
  return {
    async run(program, args, { timeoutMs = 10_000, maxBytes = 1024 * 1024, signal } = {}) {
      const failed = (code: string, what: string) => Object.assign(new Error(`The program ${program} ${what}.`), { code })
      if (!allowed.includes(program) || program.includes('/')) throw failed('EPERM', 'is not named in the contract')
      if (signal?.aborted) throw failed('ABORT_ERR', 'was not started: aborted')

      const child = spawn(program, args, {
        cwd: '/',
        env: { PATH: searchPath().join(':'), HOME: process.env.HOME ?? '/', LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8' },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      })
      return new Promise<ExecResult>((resolve, reject) => {
        // Answers without waiting for the end: a program that hangs in a device's driver does not even die of SIGKILL.
        const kill = (code: string, why: string) => {
          reject(failed(code, `was killed: ${why}`))
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
        child.on('exit', () => killGroup(child.pid))
        child.on('error', ({ code = 'EIO' }: NodeJS.ErrnoException) => {
          reject(failed(code, code === 'ENOENT' ? 'is not installed' : `could not be started (${code})`))
        })
        child.on('close', (code, killedBy) => {
          clearTimeout(deadline)
          signal?.removeEventListener('abort', onAbort)
          resolve({ exitCode: code ?? 128 + constants.signals[killedBy as NodeJS.Signals], ...output })
        })
      })
    },
  }
}

function killGroup(leader: number | undefined): boolean {
  try {
    return process.kill(-(leader as number), 'SIGKILL')
  } catch {
    return false // nothing of it is left, or what is left belongs to another user (a set-uid program)
  }
}
