import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { readable } from '../../core/log.ts'

export interface DaemonOptions {
  readonly root: string
  readonly env: Readonly<Record<string, string>>
  /** It ended without being asked. */
  readonly onEnd: (code: number) => void
}

const warning = 40

/** The daemon for one plugin, of whose log that plugin's lines and what went wrong elsewhere are shown. */
export class Daemon {
  readonly #options: DaemonOptions
  #child: ChildProcess | undefined
  #plugin = ''

  constructor(options: DaemonOptions) {
    this.#options = options
  }

  get isStarted(): boolean {
    return this.#child !== undefined
  }

  start(plugin: string): void {
    const { root, env, onEnd } = this.#options
    this.#plugin = plugin
    const child = spawn(process.execPath, [join(root, 'dist/cli.js'), 'start', '--print-link'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      // Ctrl-C reaches this process, which then stops it in good order.
      detached: true,
    })
    this.#child = child
    createInterface({ input: child.stdout }).on('line', (line) => this.#show(line))
    child.once('exit', (code, signal) => {
      if (this.#child === child) onEnd(code ?? (signal ? 1 : 0))
    })
  }

  async restart(): Promise<void> {
    await this.stop()
    this.start(this.#plugin)
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill()
    await once(child, 'exit')
  }

  #show(line: string): void {
    if (!line.startsWith('{')) return void process.stdout.write(`${line}\n`)
    const { plugin, level } = JSON.parse(line) as { plugin?: string; level: number }
    if (plugin === this.#plugin || level >= warning) process.stdout.write(readable(line))
  }
}
