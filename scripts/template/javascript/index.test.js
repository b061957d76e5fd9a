import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { conformance, createTestContext, startTestHost } from 'patchbay/testing'
import plugin, { readLoad } from './index.js'

const dir = import.meta.dirname

void test('the driver reads what the kernel writes, and nothing else', async (t) => {
  const place = await mkdtemp(join(tmpdir(), 'sample-'))
  t.after(() => rm(place, { recursive: true }))
  const file = join(place, 'loadavg')
  await writeFile(file, '1.50 0.70 0.30 1/234 5678\n')
  assert.equal(await readLoad(file, 2), 0.75)
  await writeFile(file, 'nonsense')
  await assert.rejects(readLoad(file), /begins with no number/)
})

void test('start, without a host', async () => {
  const lab = await createTestContext(plugin.contract, { settings: { busyAbove: 1_000_000 } })
  await lab.start(plugin)
  const answer = await lab.call('sample:measure', { tell: true })
  assert.equal(answer.isBusy, false)
  assert.deepEqual(lab.published, [{ event: 'sample:load', payload: { perCore: answer.perCore, isBusy: false } }])
  await lab.stop()
})

void test('a subscriber is told, on a real host', async (t) => {
  const host = await startTestHost({ plugins: [dir] })
  t.after(() => host.stop())
  await host.reached('sample', 'running')
  const viewer = await host.client('viewer')
  const load = viewer.next('sample:load')
  assert.equal((await viewer.ask('module:subscribe', { module: 'sample' })).success, true)
  assert.equal(typeof (await load).isBusy, 'boolean')
  assert.equal((await viewer.ask('sample:measure', { tell: false })).code, 'FORBIDDEN')
})

void test('conformance', (t) => conformance(t, { dir }))
