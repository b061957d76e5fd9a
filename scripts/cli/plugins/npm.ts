import { spawn } from 'node:child_process'
import { lstat, mkdir, opendir, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { printable } from '../../../core/log.ts'
import { Gate } from './gate.ts'
import { readNpmSettings } from './npm-settings.ts'

const deadlineMs = 15 * 60_000
const lookMs = 500
const most = { network: 512 * 1024 ** 2, disk: 1024 ** 3, stderr: 64 * 1024 }

/**
 * npm, which here finds out what a package needs and fetches it, checked against the registry's hashes; it installs nothing, so that
 * there is no moment in which it could run anything. It works in an empty directory with settings that are ours, without git, and
 * reaches the registries alone.
 */
export class Npm {
  readonly dir: string
  readonly #gate: Gate
  readonly #env: Readonly<Record<string, string>>
  readonly #flags: readonly string[]

  private constructor(dir: string, gate: Gate, url: string, env: Readonly<Record<string, string>>) {
    this.dir = dir
    this.#gate = gate
    this.#env = env
    // All that npm has run programs by, written down even where it is the default: what npm was built with may say otherwise.
    this.#flags = [
      ...[`--userconfig=${join(dir, '.user')}`, `--globalconfig=${join(dir, '.global')}`, `--cache=${join(dir, '.cache')}`],
      ...[
        `--prefix=${dir}`,
        `--git=${join(dir, 'no-git')}`,
        '--ignore-scripts',
        '--script-shell=',
        '--node-options=',
        '--offline=false',
      ],
      ...[`--proxy=${url}`, `--https-proxy=${url}`, '--noproxy=', '--fetch-retries=1', '--fetch-retry-mintimeout=1000'],
      ...['--audit=false', '--fund=false', '--update-notifier=false', '--progress=false', '--color=false', '--loglevel=error'],
      ...[
        '--logs-max=0',
        '--global=false',
        '--workspaces=false',
        '--install-links=false',
        '--omit-lockfile-registry-resolved=false',
      ],
    ]
  }

  /** `dir` is made. */
  static async open(dir: string): Promise<Npm> {
    const settings = await readNpmSettings()
    const { registries: allowed, proxyFor } = settings
    await mkdir(join(dir, '.tmp'), { recursive: true, mode: 0o700 })
    await writeFile(join(dir, '.user'), settings.text, { mode: 0o600 })
    await writeFile(join(dir, '.global'), '')
    const gate = new Gate({ allowed, proxyFor, maxBytes: most.network })
    const PATH = [process.env.PATH, dirname(process.execPath)].join(delimiter)
    return new Npm(dir, gate, await gate.open(), { ...settings.env, PATH, HOME: dir, TMPDIR: join(dir, '.tmp') })
  }

  /** Runs one of its commands here. Rejects with a sentence. */
  async run(command: string, ...args: string[]): Promise<void> {
    await this.#writeManifest({})
    await this.#start([command, ...this.#flags, '--', ...args])
  }

  /** Finds out what these dependencies come to. Writes package-lock.json. */
  async lock(manifest: object): Promise<void> {
    await this.#writeManifest(manifest)
    await this.#start(['install', '--package-lock-only', '--lockfile-version=3', '--omit=dev', ...this.#flags])
  }

  close(): void {
    this.#gate.close()
  }

  /** So that npm takes this directory for the project, and looks for none above. */
  async #writeManifest(manifest: object): Promise<void> {
    await writeFile(join(this.dir, 'package.json'), JSON.stringify({ private: true, ...manifest }))
  }

  async #start(args: readonly string[]): Promise<void> {
    let [said, stopped] = ['', '']
    const child = spawn('npm', args, { cwd: this.dir, env: this.#env, stdio: ['ignore', 'ignore', 'pipe'] })
    const stop = (why: string) => {
      stopped ||= why
      child.kill('SIGKILL')
    }
    const deadline = setTimeout(stop, deadlineMs, 'It takes longer than 15 minutes.')
    // A package may unpack to any size while npm looks into it.
    const look = setInterval(() => {
      void sizeOf(this.dir).then((bytes) => bytes > most.disk && stop('What it fetches is too large.'))
    }, lookMs)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-most.stderr)
    })
    try {
      const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
      if (code !== 0) throw new Error(stopped || (this.#gate.isExceeded ? 'What it fetches is too large.' : this.#reason(said)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      throw new Error('npm is needed for this and is not installed: sudo apt install npm')
    } finally {
      clearTimeout(deadline)
      clearInterval(look)
    }
  }

  /** What npm said, as a sentence. */
  #reason(said: string): string {
    const lines = said.split('\n').flatMap((line) => /^npm (?:error|ERR!) (.+)/.exec(line)?.[1] ?? [])
    const code = lines.map((line) => /^code (\w+)/.exec(line)?.[1]).find(Boolean)
    const [first = said.trim() || 'it did not say why'] = lines.filter(
      (line) => !/^(code|errno|syscall|path|A complete log) /.test(line),
    )
    const told = `npm: ${printable(first.replace(/^[a-z]+ (?=[A-Z])/, '')).slice(0, 500)}`
    const hosts = [...this.#gate.refused].map(printable).join(', ')
    if (hosts) return `It is to be fetched from elsewhere than the registry (${hosts}), which is refused.`
    if (/ git error /.test(told)) return 'Something that it depends on is to come by git, which is refused.'
    if (code === 'EINTEGRITY') return `What came is not what the registry announced. ${told}`
    return told
  }
}

/** Bytes of the files below. What vanishes meanwhile does not count. */
async function sizeOf(path: string): Promise<number> {
  const stats = await lstat(path).catch(() => undefined)
  if (!stats?.isDirectory()) return stats?.size ?? 0
  let sum = 0
  try {
    for await (const { name } of await opendir(path)) sum += await sizeOf(join(path, name))
  } catch {
    // It is gone.
  }
  return sum
}
