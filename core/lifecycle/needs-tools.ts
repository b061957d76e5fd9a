import { access, constants, stat } from 'node:fs/promises'
import type { Finding } from '../plugin/capabilities.ts'
import type { ToolNeed } from '../plugin/contract.ts'
import { createExec, searchPath } from '../process/exec.ts'

const askMs = 3000
const maxBytes = 64 * 1024
/** What a program said of itself, by its file, for as long as that is the same. */
const known = new Map<string, { readonly mtimeMs: number; readonly version: string }>()

/**
 * Looks for a program on `path`. It is started, with `--version`, only if the contract wants a version and `mayStart` allows it. One
 * that does not tell its version is let pass: it is there, and a slow machine is no reason to do without it.
 */
export async function checkTool(
  name: string,
  tool: ToolNeed,
  { path, mayStart }: { path: string | undefined; mayStart: boolean },
): Promise<Finding> {
  const finding = { kind: 'tool', name, optional: tool.optional ?? false } as const
  const file = await programFile(name, path)
  if (!file) {
    const mend = `sudo apt-get install ${tool.package}`
    return { ...finding, ok: false, sentence: `The program ${name} is not installed.`, mend }
  }
  const found = { ...finding, ok: true, sentence: `The program ${name} is ${file}.` }
  if (!tool.version || !mayStart) return found
  const version = await versionOf(name, file)
  if (!version) return { ...found, sentence: `The program ${name} is ${file}, which does not tell its version.` }
  if (!isOlder(version, tool.version)) return { ...found, sentence: `The program ${name} is ${file}, version ${version}.` }
  const sentence = `The program ${name} is ${file}, version ${version}; ${tool.version} is the lowest that will do.`
  return { ...found, ok: false, sentence, mend: `sudo apt-get update && sudo apt-get install ${tool.package}` }
}

async function programFile(name: string, path: string | undefined): Promise<string | undefined> {
  for (const directory of searchPath(path)) {
    const file = `${directory}/${name}`
    if (await isProgram(file)) return file
  }
  return undefined
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return (await stat(file)).isFile()
  } catch {
    return false
  }
}

/** The first number with a dot that the program prints, whatever its exit code. */
async function versionOf(name: string, file: string): Promise<string | undefined> {
  try {
    const { mtimeMs } = await stat(file)
    const last = known.get(file)
    if (last?.mtimeMs === mtimeMs) return last.version
    const { stdout, stderr } = await createExec([name]).run(name, ['--version'], { timeoutMs: askMs, maxBytes })
    const [version] = /(?<![\d.])\d{1,6}(\.\d{1,6}){1,3}/.exec(`${stdout}\n${stderr}`) ?? []
    if (version) known.set(file, { mtimeMs, version })
    return version
  } catch {
    return undefined // it hangs, went away or may not be started: its version is not known
  }
}

function isOlder(version: string, lowest: string): boolean {
  const [have, want] = [version, lowest].map((text) => text.split('.').map(Number)) as [number[], number[]]
  const place = want.findIndex((number, index) => number !== (have[index] ?? 0))
  return place >= 0 && (have[place] ?? 0) < (want[place] ?? 0)
}
