import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Context } from '../../../core/plugin/context.ts'
import type { Contract } from '../../../core/plugin/contract.ts'
import { startTestHost, type TestHost, type TestHostOptions } from '../../../core/testing/host.ts'

/** A context as plain JavaScript has it: any event, command and code. */
export type Loose = Pick<
  Context<Contract>,
  'own' | 'signal' | 'log' | 'fail' | 'whileSubscribed' | 'onSubscribe' | 'onDisconnect' | 'onHeard' | 'diagnose'
> & {
  readonly id: string
  readonly settings: Record<string, unknown>
  publish(event: string, payload?: unknown): void
  forget(event: string): void
  send(target: object, event: string, payload?: unknown): void
  handle(
    command: string,
    handler: (payload: unknown, call: Parameters<Parameters<Context<Contract>['handle']>[1]>[1]) => unknown,
  ): void
  provide(event: string, value: () => unknown): void
  error(code: string, message?: string, extra?: object): Error
  publishError(code: string, message?: string, details?: unknown): void
  namespace(name: string): Pick<Loose, 'publish' | 'send' | 'handle'>
}

export interface LabPlugin {
  readonly contract: Contract
  readonly start: (context: Loose) => unknown
}

const starts = new Map<string, (context: Loose) => unknown>()
Object.assign(globalThis, { labStarts: starts })

/** Writes a plugin package in plain JavaScript whose `start` is a function of the test, or none if it runs in a process of its own. */
export async function writePlugin(dir: string, { contract, start }: LabPlugin): Promise<string> {
  const key = `${starts.size}`
  starts.set(key, start)
  const manifest = { name: contract.id, version: '1.0.0', type: 'module', patchbay: { api: 1, contract: './contract.json' } }
  const code = `import { definePlugin } from 'patchbay/plugin'
import contract from './contract.json' with { type: 'json' }
export default definePlugin(contract, { start: (context) => globalThis.labStarts?.get('${key}')(context) })
`
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'package.json'), JSON.stringify(manifest))
  await writeFile(join(dir, 'contract.json'), JSON.stringify(contract))
  await writeFile(join(dir, 'index.js'), code)
  return dir
}

export async function temporary(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-lab-'))
  // What is being closed may still write.
  t.teardown(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  return dir
}

/** A host with these plugins, which are tried again without delay when they fail. */
export async function startLab(t: Test, plugins: readonly LabPlugin[], options: TestHostOptions = {}): Promise<TestHost> {
  const dir = await temporary(t)
  const packages = await Promise.all(plugins.map((plugin) => writePlugin(join(dir, plugin.contract.id), plugin)))
  const host = await startTestHost({ runIn: 'host', pace: { retryMs: 5 }, ...options, plugins: packages })
  t.teardown(() => host.stop())
  return host
}

/** A promise and what settles it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
