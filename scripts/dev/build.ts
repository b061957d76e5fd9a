import { type ChildProcess, execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type BuildContext, context } from 'esbuild'
import type { Contract } from '../../core/plugin/contract.ts'
import { contractText } from '../cli/contract.ts'

/** A plugin's sources, and how they become what the daemon runs. */
export interface Sources {
  /** What `build` writes, and directories of it. */
  readonly outputs: readonly string[]
  readonly writesContract: boolean
  /** Rejects with a sentence, or with what the compiler said. */
  build(): Promise<Contract>
  /** Tells what is wrong with the types, once it is known. */
  check(say: (text: string) => void): void
  close(): void
}

const run = promisify(execFile)

export async function sourcesOf(dir: string, root: string, isBuiltin: boolean): Promise<Sources> {
  const still = { outputs: [], writesContract: false, check: () => undefined, close: () => undefined }
  if (isBuiltin) {
    const build = async () => {
      await run(process.execPath, [join(root, 'scripts/build.mjs')], { cwd: root }).catch(told)
      return readContract(join(root, 'dist', relative(root, dir)))
    }
    return { ...still, build }
  }
  if (!existsSync(join(dir, 'tsconfig.json'))) return { ...still, build: () => readContract(dir) }
  return new TypeScript(dir, root, await entryOf(dir, root))
}

interface Entry {
  readonly from: string
  readonly to: string
  readonly outDir: string
}

/** Bundles its entry, which takes a moment; `tsc`, which takes longer, then looks at the types alone. */
class TypeScript implements Sources {
  readonly writesContract = true
  readonly outputs: readonly string[]
  readonly #dir: string
  readonly #root: string
  readonly #entry: Entry
  #context: BuildContext | undefined
  #tsc: ChildProcess | undefined
  #builds = 0
  #hadFaults = false

  constructor(dir: string, root: string, entry: Entry) {
    this.#dir = dir
    this.#root = root
    this.#entry = entry
    this.outputs = [entry.outDir, entry.to]
  }

  async build(): Promise<Contract> {
    const { from, to } = this.#entry
    this.#context ??= await context({
      absWorkingDir: this.#dir,
      entryPoints: [from],
      outfile: to,
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      target: 'node20',
      sourcemap: 'inline',
      logLevel: 'silent',
    })
    await this.#context.rebuild()
    const text = await contractText(to, this.#root, `?build=${++this.#builds}`)
    const file = join(this.#dir, 'contract.json')
    if (text !== (await readFile(file, 'utf8').catch(() => ''))) {
      await writeFile(`${file}.new`, text)
      await rename(`${file}.new`, file)
    }
    return JSON.parse(text) as Contract
  }

  check(say: (text: string) => void): void {
    this.#tsc?.kill()
    const tsc = execFile(process.execPath, [tscOf(this.#root), '--noEmit', '-p', this.#dir], (error, stdout) => {
      if (this.#tsc !== tsc) return
      if (error) say(`its types do not fit:\n${stdout.trimEnd()}`)
      else if (this.#hadFaults) say('its types fit')
      this.#hadFaults = error !== null
    })
    this.#tsc = tsc
  }

  close(): void {
    const tsc = this.#tsc
    this.#tsc = undefined
    tsc?.kill()
    void this.#context?.dispose()
  }
}

/** The source of `main` in package.json, by the directories that tsconfig.json names. */
async function entryOf(dir: string, root: string): Promise<Entry> {
  const { stdout } = await run(process.execPath, [tscOf(root), '--showConfig', '-p', dir]).catch(told)
  const { rootDir = '.', outDir = '.' } = (JSON.parse(stdout) as { compilerOptions: { rootDir?: string; outDir?: string } })
    .compilerOptions
  const { main = './index.js' } = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as { main?: string }
  const to = resolve(dir, main)
  const from = resolve(dir, rootDir, relative(resolve(dir, outDir), to)).replace(/js$/, 'ts')
  if (existsSync(from)) return { from, to, outDir: resolve(dir, outDir) }
  throw new Error(`dev: "main" in package.json is ${main}, and there is no ${from} that it could be made of.`)
}

const tscOf = (root: string) => join(root, 'node_modules/typescript/bin/tsc')

async function readContract(dir: string): Promise<Contract> {
  return JSON.parse(await readFile(join(dir, 'contract.json'), 'utf8')) as Contract
}

/** What a program said, as the error. */
function told({ message, stdout, stderr }: { message: string; stdout?: string; stderr?: string }): never {
  throw new Error(`${stdout ?? ''}${stderr ?? ''}`.trim() || message)
}
