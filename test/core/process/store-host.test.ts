import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { sourceChild, startWith } from './package.ts'

const keeper: Contract = {
  id: 'keeper',
  capabilities: { store: true },
  commands: { 'keeper:add': { payload: { type: 'string' } }, 'keeper:list': {}, 'keeper:read': { payload: { type: 'string' } } },
}
const body = `
  const { db, sql } = await ctx.store.open({
    '0001': {
      up: (db) => db.schema.createTable('words').addColumn('word', 'text').execute(),
      down: (db) => db.schema.dropTable('words').execute(),
    },
  })
  ctx.own(() => sql\`insert into words values ('last')\`.execute(db))
  ctx.handle('keeper:add', async (word) => void (await db.insertInto('words').values({ word }).execute()))
  ctx.handle('keeper:list', async () => ({ words: (await db.selectFrom('words').selectAll().execute()).map(({ word }) => word) }))
  ctx.handle('keeper:read', (path) => ({ text: fs.readFileSync(path, 'utf8') }))`

for (const [where, runIn, child] of [
  ['the host’s process', 'host', {}],
  ['a process of its own', 'process', {}],
  ['a process of its own, from the sources', 'process', { child: sourceChild }],
] as const)
  void t.test(`what a plugin keeps is there after it was switched off and on, in ${where}`, async (t) => {
    const host = await startWith(t, keeper, body, { runIn, ...child })
    await host.reached('keeper', 'running')
    const owner = await host.client('owner')
    t.match(await owner.ask('keeper:add', 'kitchen'), { success: true })
    await owner.ask('host:disable', { id: 'keeper' })
    t.match(await owner.ask('host:enable', { id: 'keeper' }), { state: 'running' })
    t.match(await owner.ask('keeper:list'), { words: ['kitchen', 'last'] }, 'it is closed after all that the plugin owns')
    const place = join(host.dataDir, 'store', 'keeper')
    t.ok(existsSync(join(place, 'store.db')))
    t.equal(statSync(place).mode & 0o777, 0o700)
    if (runIn === 'process' && !('child' in child)) {
      t.match(await owner.ask('keeper:read', join(host.configDir, 'access.json')), { success: false, code: 'INTERNAL' })
      t.match(await host.reached('keeper', 'running'), { containment: { level: 'not contained', sentence: /a store/ } })
    }
  })

const late: Contract = { id: 'late', settings: { type: 'object', properties: { file: { type: 'string', default: '' } } } }

for (const runIn of ['host', 'process'] as const)
  void t.test(`what says at its start that something is missing is tried until it is there, in ${runIn}`, async (t) => {
    const file = join(t.testdir(), 'there')
    const contract: Contract = { ...late, capabilities: { files: { read: [file] } } }
    const look = `if (!fs.existsSync(ctx.settings.file)) throw ctx.error('MODULE_UNAVAILABLE', 'The file is not there.')`
    const child = runIn === 'process' ? { child: sourceChild } : {}
    const host = await startWith(t, contract, look, { runIn, settings: { late: { file } }, ...child })
    t.match(await host.reached('late', 'unavailable'), { reason: 'The file is not there.' })
    const tries = () => host.log.filter((line) => line.includes('"plugin":"late"') && line.includes('is starting')).length
    while (tries() < 6) await new Promise((resolve) => setTimeout(resolve, 20))
    t.notOk(
      host.status().some(({ state }) => state === 'quarantined'),
      'it is not given up',
    )
    const { writeFileSync } = await import('node:fs')
    writeFileSync(file, '')
    await host.reached('late', 'running')
  })
