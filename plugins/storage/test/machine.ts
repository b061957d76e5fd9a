import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import type { Exec } from '../driver/tool.ts'

const fixtures = join(import.meta.dirname, 'fixtures')
const fixture = (name: string): Promise<string> => readFile(join(fixtures, name), 'utf8')

export interface Run {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}
/** A captured run of a program. */
export const run = async (name: string): Promise<Run> => JSON.parse(await fixture(`${name}.json`))
/** Published JSON as a program would have printed it. */
export const printed = async (name: string, exitCode = 0): Promise<Run> => ({
  exitCode,
  stdout: await fixture(`published/${name}.json`),
  stderr: '',
})
export const failing = (code: 'ENOENT' | 'ETIMEDOUT' | 'EFBIG') => Object.assign(new Error(code), { code })

/**
 * Starts no program: gives what was captured for a command line, or rejects with what stands there instead. A program of which
 * no line is known is not installed; of one that is, an unexpected line fails the test by throwing.
 */
export function replay(runs: Readonly<Record<string, Run | Error | (() => Promise<Run>)>>): Exec & { readonly calls: string[] } {
  const calls: string[] = []
  return {
    calls,
    async run(program, args) {
      const line = [program, ...args].join(' ')
      calls.push(line)
      const answer = runs[line]
      if (typeof answer === 'function') return answer()
      if (answer instanceof Error) throw answer
      if (answer) return answer
      if (Object.keys(runs).some((known) => known.startsWith(`${program} `))) throw new TypeError(`not expected: ${line}`)
      throw failing('ENOENT')
    },
  }
}

export const DF = 'df --output=source,fstype,size,used,pcent,target -B1 --'

type Entry = string | { readonly link: string } | { readonly dir: true }
export type Tree = Record<string, Entry>
export const tree = async (name: string): Promise<Tree> => JSON.parse(await fixture(`${name}.json`))

/** Lays a captured /sys and /proc out in a folder of its own. */
export async function layOut(t: Test, entries: Tree): Promise<string> {
  const root = t.testdir()
  for (const [path, entry] of Object.entries(entries)) {
    const at = join(root, path)
    await mkdir(dirname(at), { recursive: true })
    if (typeof entry === 'string') await writeFile(at, entry, 'latin1')
    else if ('link' in entry) await symlink(entry.link, at)
    else await mkdir(at, { recursive: true })
  }
  return root
}

/** The captured machine without the drives whose paths match. */
export const without = (entries: Tree, pattern: RegExp): Tree =>
  Object.fromEntries(Object.entries(entries).filter(([path]) => !pattern.test(path)))
