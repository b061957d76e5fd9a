import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { PluginStatus } from '../../../core/plugin/host-control.ts'
import { startTestHost } from '../../../core/testing/host.ts'
import { temporary } from './lab.ts'

const contract = {
  id: 'lamp',
  commands: { 'lamp:version': { role: 'viewer' }, 'lamp:break': { role: 'viewer' } },
  settings: { type: 'object', properties: { bulb: { type: 'string', default: '' } }, additionalProperties: false },
}

/** Writes a version whose `start` begins with this code. */
async function write(dir: string, version: string, code = '', more: object = {}): Promise<void> {
  await mkdir(dir, { recursive: true })
  const manifest = { name: 'lamp', version, type: 'module', patchbay: { api: 1, contract: './contract.json' } }
  await writeFile(join(dir, 'package.json'), JSON.stringify(manifest))
  await writeFile(join(dir, 'contract.json'), JSON.stringify({ ...contract, ...more }))
  const handlers = `ctx.handle('lamp:version', () => ({ version: '${version}' })); ctx.handle('lamp:break', () => ctx.fail('it broke'))`
  await writeFile(
    join(dir, 'index.js'),
    `import { definePlugin } from 'patchbay/plugin'
import contract from './contract.json' with { type: 'json' }
export default definePlugin(contract, { start(ctx) { ${code}; ${handlers} } })
`,
  )
}

/** A host in which version 1.0.0 has run and is kept. */
async function start(t: Test) {
  const source = join(await temporary(t), 'lamp')
  await write(source, '1.0.0')
  const host = await startTestHost({ plugins: [source], pace: { keepAfterMs: 1 } })
  t.teardown(() => host.stop())
  const home = join(host.dataDir, 'last-good/lamp')
  const until = async <T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> => {
    for (const end = Date.now() + 30_000; ; ) {
      const found = await look()
      if (found) return found
      if (Date.now() > end) throw new Error(`not reached:\n${host.log.slice(-20).join('')}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  /** The name of the copy that is kept, other than `before`. */
  const kept = (before?: string) =>
    until(async () => {
      const names = await readdir(home).catch((): string[] => [])
      return names.length === 1 && names[0] !== before && !names[0]?.startsWith('.') ? names[0] : undefined
    })
  const row = (fits: (status: PluginStatus) => boolean): Promise<PluginStatus> =>
    until(() => host.status().find((each) => each.id === 'lamp' && fits(each)))
  const client = await host.client('owner')
  return { host, home, until, kept, row, client, dir: join(host.pluginDir, 'lamp'), first: await kept() }
}

const stoodIn = ({ state, reason }: PluginStatus) => state === 'running' && reason !== undefined
const isVersion = (wanted: string) => (each: PluginStatus) => each.version === wanted && each.state === 'running' && !each.reason

void t.test('the version that last ran stands in for one that does not start, until the files change again', async (t) => {
  const { dir, row, client, kept, first } = await start(t)
  await write(dir, '2.0.0', "throw new Error('no bulb')")
  t.match(await row(stoodIn), {
    version: '1.0.0',
    reason: 'Version 2.0.0 failed (no bulb); 1.0.0, which ran before, stands in for it.',
  })
  t.match(await client.ask('lamp:version'), { success: true, version: '1.0.0' })
  await write(dir, '3.0.0')
  await row(isVersion('3.0.0'))
  t.match(await client.ask('lamp:version'), { success: true, version: '3.0.0' })
  await kept(first)

  await writeFile(join(dir, 'contract.json'), '{')
  t.match(await row(stoodIn), { version: '3.0.0', reason: /contract\.json/ })
  t.match(await client.ask('lamp:version'), { success: true, version: '3.0.0' })
})

void t.test('an owner may have it tried again, by a restart or with other settings', async (t) => {
  const { host, dir, row, client, until } = await start(t)
  await write(dir, '2.0.0', "throw new Error('no luck')")
  t.match(await row(stoodIn), { version: '1.0.0', reason: /no luck/ })
  await client.ask('host:restart', { id: 'lamp' })
  await row(stoodIn)
  const attempts = () => host.log.filter((line) => /rolled back/.test(line)).length
  t.equal(attempts(), 2)
  await host.writeConfig('plugins', { plugins: { lamp: { enabled: true, settings: { bulb: 'warm' } } } })
  await until(() => attempts() === 3)
  t.match(await row(stoodIn), { version: '1.0.0', reason: /no luck/ })
})

void t.test('what has run before is not rolled back when it fails, nor is what asks for more than it was granted', async (t) => {
  const { host, dir, row, client, first, kept } = await start(t)
  client.socket.emit('lamp:break')
  await row(({ state }) => state === 'failed')
  await row(isVersion('1.0.0'))
  await write(dir, '2.0.0', '', { capabilities: { exec: ['true'] } })
  t.match(await row(({ state }) => state === 'disabled'), { version: '2.0.0', reason: /asks for more/ })
  t.notMatch(host.log.join(''), 'rolled back')
  t.equal(await kept(), first)
})

void t.test('only whole versions of a bounded size are kept, without links, and none of a plugin that is gone', async (t) => {
  const { host, home, dir, row, first, kept, until } = await start(t)
  await mkdir(join(dir, 'node_modules/large'), { recursive: true })
  await writeFile(join(dir, 'node_modules/large/data'), Buffer.alloc(33 * 1024 * 1024))
  await write(dir, '2.0.0')
  await row(isVersion('2.0.0'))
  await until(() => /this version cannot be kept/.test(host.log.join('')))
  t.equal(await kept(), first)
  await rm(dir, { recursive: true })
  await until(async () => !(await readdir(join(home, '..'))).includes('lamp'))
})
