// The examples in test/examples as a third party's: built in a temporary directory, then run on a real host.
import { execFile } from 'node:child_process'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { startTestHost } from '../../../core/testing/host.ts'
import { copyExample, root } from '../../support/example.ts'
import { temporary } from './lab.ts'

/** Makes it look for LEDs somewhere else. */
async function pointAt(dir: string, files: readonly string[], place: string): Promise<void> {
  for (const file of files) {
    const text = await readFile(join(dir, file), 'utf8')
    await writeFile(join(dir, file), text.replaceAll('/sys/class/leds', place))
  }
}

t.setTimeout(300_000)

for (const [language, folder, files] of [
  ['TypeScript', 'led', ['contract.json', 'dist/contract.js']],
  ['JavaScript', 'led-js', ['contract.json']],
] as const) {
  void t.test(`the example in ${language} waits for an LED, shows and switches it, and tells what is missing`, async (t) => {
    const dir = await copyExample(t, folder)
    if (folder === 'led') await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', 'npm', 'run', 'build'], { cwd: dir })
    const place = join(await temporary(t), 'leds')
    await pointAt(dir, files, place)
    const host = await startTestHost({ plugins: [dir] })
    t.teardown(() => host.stop())
    const client = await host.client('operator')
    t.match(await host.reached('led', 'unavailable'), { reason: /There is no device .*\/leds\/\*/, builtin: false })
    t.match(await client.ask('led:set', { name: 'ACT', on: true }), { success: false, code: 'MODULE_UNAVAILABLE' })
    t.match(await client.ask('module:subscribe', { module: 'led' }), { success: true, state: 'unavailable' })
    await host.reached('host', 'running')
    const { plugins } = await (await host.client('owner')).ask('host:doctor')
    const diagnoses = plugins as Array<{ id: string; findings: object[] }>
    t.match(diagnoses.find(({ id }) => id === 'led')?.findings, [{ kind: 'device', ok: false }])

    const lights = client.next<unknown[]>('led:lights', (value) => value.length > 0)
    const born = await temporary(t)
    for (const [file, text] of Object.entries({ brightness: '0', max_brightness: '255', trigger: '[none] timer' }))
      await writeFile(join(born, file), text)
    await mkdir(place)
    await rename(born, join(place, 'ACT'))
    await host.reached('led', 'running')
    t.match(
      host.status().find(({ id }) => id === 'led'),
      { state: 'running', version: '1.0.0' },
    )
    t.equal(host.subscribers('led'), 1)
    t.match(await lights, [{ name: 'ACT', isOn: false, max: 255, trigger: 'none' }], 'who subscribed before hears it')
    const lit = client.next<Array<{ isOn: boolean }>>('led:lights', ([light]) => light?.isOn === true)
    t.same(await client.ask('led:set', { name: 'ACT', on: true }), { success: true })
    t.match(await lit, [{ name: 'ACT', brightness: 255 }])
    t.equal(await readFile(join(place, 'ACT/brightness'), 'utf8'), '255')
    t.match(await client.ask('led:set', { name: 'PWR', on: true }), { code: 'LED_UNKNOWN' })

    await rm(join(place, 'ACT'), { recursive: true })
    await host.reached('led', 'unavailable')
  })
}

void t.test('both examples declare the same', async (t) => {
  const dir = await copyExample(t, 'led')
  await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', 'npm', 'run', 'build'], { cwd: dir })
  const read = async (file: string): Promise<unknown> => JSON.parse(await readFile(file, 'utf8'))
  t.same(await read(join(dir, 'contract.json')), await read(join(root, 'test/examples/led-js/contract.json')))
})
