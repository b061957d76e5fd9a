import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startTestHost } from '../../../core/testing/host.ts'

/** A host with this plugin on, where `df` is a stand-in that notes when it was called; drives are the machine's. */
async function start(t: Test, df: string) {
  const bin = await mkdtemp(join(tmpdir(), 'patchbay-df-'))
  t.teardown(() => rm(bin, { recursive: true }))
  await writeFile(join(bin, 'df'), `#!/bin/sh\n${df}\n`)
  await chmod(join(bin, 'df'), 0o755)
  const path = process.env.PATH
  process.env.PATH = `${bin}:${path}`
  const host = await startTestHost({ builtins: ['storage'] })
  t.teardown(async () => {
    process.env.PATH = path
    await host.stop()
  })
  await host.reached('storage', 'running')
  return host
}

void t.test(
  'a subscriber gets the partitions, whatever the drives tell; a refresh says in its answer what could not be read',
  async (t) => {
    const host = await start(t, 'exec /bin/df "$@"')
    const client = await host.client('operator')
    const partitions = client.next('storage:partitions')
    const failure = Promise.race([client.next<{ code: string }>('error'), client.next('storage:health').then(() => undefined)])
    t.match(await client.ask('module:subscribe', { module: 'storage' }), { success: true, state: 'running' })
    t.type(await partitions, Array)
    const code = (await failure)?.code
    if (code) t.match(code, /^STORAGE_/)
    const answer = await client.ask('storage:refresh')
    t.equal(answer.success, code === undefined)
    t.equal(answer.code, code)
    const viewer = await host.client('viewer')
    t.match(await viewer.ask('storage:refresh'), { code: 'FORBIDDEN' })
    const again = viewer.next('storage:partitions')
    await viewer.ask('module:subscribe', { module: 'storage' })
    t.type(await again, Array, 'the snapshot')
  },
)

void t.test('what cannot be read is a coded error without the words of the machine', async (t) => {
  const host = await start(t, 'echo "df: /secret/place: Input/output error" >&2; exit 1')
  const client = await host.client('operator')
  const answer = await client.ask('storage:refresh')
  t.match(answer, { success: false, code: /^STORAGE_/ })
  t.notMatch(JSON.stringify(answer), '/secret/place')
})
