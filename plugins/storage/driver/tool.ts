import { type FailureCode, StorageFailure } from './drive.ts'

/** How programs are started: an argument list, never a shell. Rejects with `code` ENOENT, ETIMEDOUT or EFBIG. */
export interface Exec {
  run(
    program: string,
    args: readonly string[],
    options?: { timeoutMs?: number },
  ): Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }>
}

const PACKAGES = { nvme: 'nvme-cli', smartctl: 'smartmontools', df: 'coreutils' } as const

/** Runs a program to its end, whatever its exit code; that it could not be run is a StorageFailure. */
export async function runTool(exec: Exec, program: keyof typeof PACKAGES, args: readonly string[], timeoutMs: number) {
  try {
    return await exec.run(program, args, { timeoutMs })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT')
      throw new StorageFailure(
        'STORAGE_TOOL_MISSING',
        `The program ${program} is missing: sudo apt install ${PACKAGES[program]}`,
        { cause: error, mend: `sudo apt install ${PACKAGES[program]}` },
      )
    const what = code === 'ETIMEDOUT' ? `did not answer within ${timeoutMs / 1000} s` : 'could not be run'
    throw new StorageFailure('STORAGE_READ_FAILED', `The program ${program} ${what}.`, { cause: error })
  }
}

/** The refusals of the kernel, as strerror words them. */
export const DENIED = /permission denied|operation not permitted/i

export function unreadable(device: string, said: string, capability: string): StorageFailure {
  const [code, message]: [FailureCode, string] = DENIED.test(said)
    ? ['STORAGE_PERMISSION', permission(device, capability)]
    : ['STORAGE_READ_FAILED', `The health data of ${device} could not be read or understood.`]
  return new StorageFailure(code, message, { cause: said.slice(0, 500) })
}

export function permission(device: string, capability: string): string {
  return `Patchbay may not read the health of ${device}: that takes the capability ${capability} and the group disk.`
}

export type Json = { readonly [key: string]: unknown }

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The JSON object in a program's output, past warnings printed before it; null where there is none or it was cut off. */
export function findObject(output: string): Json | null {
  const start = output.search(/^[ \t]*\{/m)
  if (start < 0) return null
  try {
    const value: unknown = JSON.parse(output.slice(start, output.lastIndexOf('}') + 1))
    return isObject(value) ? value : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

/** A member at the end of a path of names, undefined where the path breaks off. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((here, name) => (isObject(here) ? here[name] : undefined), value)
}

/**
 * A count that may have come as a number or as a string of digits, grouped by thousands or not. Beyond 2^53 it is the nearest
 * number that JavaScript and JSON have, whichever way it came.
 */
export function count(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : null
  if (typeof value !== 'string' || !/^\s*\d+([,.'\s]\d{3})*\s*$/.test(value) || value.length > 64) return null
  return Number(value.replace(/\D/g, ''))
}

/** A name as a drive tells it: padded with spaces, perhaps with characters that do not belong in text. */
export function text(value: unknown): string | null {
  return typeof value === 'string'
    ? value
        .replace(/\p{Cc}/gu, ' ')
        .trim()
        .slice(0, 128)
    : null
}
