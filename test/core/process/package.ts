import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { startTestHost, type TestHost } from '../../../core/testing/host.ts'
import { temporary } from '../lifecycle/lab.ts'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const coverage = process.env._TAPJS_PROCESSINFO_COVERAGE_ === '1' && path('../../../.tap/coverage')
/** What runs in a plugin's process, from the sources: slower to start, and coverage sees it. */
export const sourceChild = {
  file: path('../../../core/process/child-main.ts'),
  isFree: true,
  execArgv: [`--import=${path('../../../scripts/strip-types.mjs')}`],
  ...(coverage && { env: { NODE_V8_COVERAGE: coverage } }),
}

/** A plugin package whose `start` has this body, with `ctx` and `fs` in scope. */
export async function writePackage(dir: string, contract: Contract, body: string, version = '1.0.0'): Promise<string> {
  const patchbay = { api: 1, contract: './contract.json' }
  const code = `import fs from 'node:fs'
import { definePlugin } from 'patchbay/plugin'
import contract from './contract.json' with { type: 'json' }
export default definePlugin(contract, { async start(ctx) {
${body}
} })
`
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'contract.json'), JSON.stringify(contract))
  await writeFile(join(dir, 'index.js'), code)
  await writeFile(join(dir, 'package.json'), JSON.stringify({ name: contract.id, version, type: 'module', patchbay }))
  return dir
}

/** A host with one such plugin in a process of its own, tried again without delay when it fails. */
export async function startWith(
  t: Test,
  contract: Contract,
  body: string,
  options: Parameters<typeof startTestHost>[0] = {},
): Promise<TestHost> {
  const dir = await writePackage(join(await temporary(t), contract.id), contract, body)
  const host = await startTestHost({ pace: { retryMs: 5 }, ...options, plugins: [dir] })
  t.teardown(() => host.stop())
  return host
}
