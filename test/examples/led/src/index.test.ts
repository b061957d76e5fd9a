import assert from 'node:assert/strict'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { conformance, startTestHost } from 'patchbay/testing'
import { Leds, type Light } from './leds.ts'

const root = join(import.meta.dirname, '..')

/** A directory with the files that the kernel has for two LEDs. */
async function twoLeds(t: TestContext): Promise<string> {
  const place = await mkdtemp(join(tmpdir(), 'leds-'))
  t.after(() => rm(place, { recursive: true }))
  await chmod(place, 0o755)
  await led(place, 'ACT', { brightness: '0\n', max_brightness: '1\n', trigger: 'none timer [mmc0]\n' })
  await led(place, 'input3::capslock', { brightness: '12\n', max_brightness: '255\n' })
  return place
}

async function led(place: string, name: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(place, name))
  for (const [file, text] of Object.entries(files)) await writeFile(join(place, name, file), text)
}

/** A copy of this package that looks for LEDs in another place: few machines with tests have any. */
async function lookingAt(t: TestContext, place: string): Promise<string> {
  const dir = join(await mkdtemp(join(tmpdir(), 'led-plugin-')), 'led')
  t.after(() => rm(dirname(dir), { recursive: true }))
  await cp(root, dir, { recursive: true, filter: (path) => path === root || basename(path) !== 'node_modules' })
  for (const file of ['contract.json', 'dist/contract.js']) {
    const text = await readFile(join(dir, file), 'utf8')
    await writeFile(join(dir, file), text.replaceAll('/sys/class/leds', place))
  }
  return dir
}

void test('LEDs are read as the kernel shows them', async (t) => {
  const place = await twoLeds(t)
  await led(place, 'half', { brightness: '1' })
  await led(place, '-rf x', { brightness: '1', max_brightness: '1' })
  assert.deepEqual(await new Leds(place).list(), [
    { name: 'ACT', isOn: false, brightness: 0, max: 1, trigger: 'mmc0' },
    { name: 'input3::capslock', isOn: true, brightness: 12, max: 255, trigger: 'none' },
  ])
})

void test('switching takes an LED from its trigger and writes its brightness', async (t) => {
  const place = await twoLeds(t)
  const leds = new Leds(place)
  await leds.set('ACT', true)
  assert.equal(await readFile(join(place, 'ACT/trigger'), 'utf8'), 'none')
  assert.equal(await readFile(join(place, 'ACT/brightness'), 'utf8'), '1')
  await leds.set('input3::capslock', true)
  assert.equal(await readFile(join(place, 'input3::capslock/brightness'), 'utf8'), '255')
  await leds.set('input3::capslock', false)
  assert.equal(await readFile(join(place, 'input3::capslock/brightness'), 'utf8'), '0')
  for (const name of ['PWR', '../ACT', 'ACT/../ACT', '']) await assert.rejects(leds.set(name, true), { code: 'LED_UNKNOWN' })
})

void test('an LED that this user may not write is told, with what mends it', async (t) => {
  const place = await twoLeds(t)
  const leds = new Leds(place)
  assert.deepEqual(await leds.locked('ACT'), [])
  await chmod(join(place, 'ACT/brightness'), 0o444)
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(65_534) // root may write everything
  try {
    assert.deepEqual((await leds.locked('ACT'))[0], join(place, 'ACT/brightness'))
    await assert.rejects(leds.set('ACT', true), { code: 'LED_NOT_WRITABLE' })
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
})

void test('on a real host: seen, switched by us and by others, hidden', async (t) => {
  const place = await twoLeds(t)
  const host = await startTestHost({
    plugins: [await lookingAt(t, place)],
    settings: { led: { hide: ['input3::capslock'] } },
  })
  t.after(() => host.stop())
  await host.reached('led', 'running')
  const client = await host.client('operator')
  const first = client.next<Light[]>('led:lights')
  await client.ask('module:subscribe', { module: 'led' })
  assert.deepEqual(
    (await first).map(({ name, isOn }) => [name, isOn]),
    [['ACT', false]],
  )
  const lit = client.next<Light[]>('led:lights', ([light]) => light?.isOn === true)
  assert.equal((await client.ask('led:set', { name: 'ACT', on: true })).success, true)
  await lit
  const dark = client.next<Light[]>('led:lights', ([light]) => light?.isOn === false)
  await writeFile(join(place, 'ACT/brightness'), '0')
  await dark
  assert.equal((await client.ask('led:set', { name: 'input3::capslock', on: true })).code, 'LED_UNKNOWN')
  const viewer = await host.client('viewer')
  assert.equal((await viewer.ask('led:set', { name: 'ACT', on: true })).code, 'FORBIDDEN')
})

void test('conformance', async (t) => conformance(t, { dir: await lookingAt(t, await twoLeds(t)) }))
