import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SafeMode } from '../../core/safe-mode.ts'
import { hardwareOff, Place, reached } from '../cli/daemon.ts'

const on = {
  plugins: { plugins: { lamp: { enabled: true, runIn: 'host' }, ...hardwareOff } },
}

/** A place with a third party's plugin that is switched on, whose command `lamp:break` ends the host. */
async function withLamp(t: Test): Promise<Place> {
  const place = await Place.create(t, on)
  // The host listens to this signal, so that nothing tells whose the exception is.
  const code =
    "process.on('SIGUSR1', () => { throw 'a text' }); ctx.handle('lamp:break', () => process.kill(process.pid, 'SIGUSR1'))"
  await place.addPlugin('lamp', { commands: { 'lamp:break': { role: 'viewer' } } }, code)
  return place
}

void t.test('after two deaths within a minute only what comes with Patchbay runs, and an owner may start the rest', async (t) => {
  const place = await withLamp(t)
  const first = await place.start()
  await reached(await first.client(), 'lamp', 'running')
  await first.program.kill('SIGKILL')
  const second = await place.start()
  const client = await second.client()
  await reached(client, 'lamp', 'running')
  client.socket.emit('lamp:break')
  t.equal(await second.program.exited, 70)

  const third = await place.start()
  await third.program.says(/"level":40,.*"part":"starts".*Safe mode: Patchbay died 2 times/)
  const owner = await third.client()
  const reason = /^Safe mode: .* To start this one now: npx patchbay plugins restart lamp\.$/
  t.match(await reached(owner, 'lamp', 'disabled'), { reason })
  await reached(owner, 'host', 'running')
  const headers = { authorization: `Bearer ${owner.sessionToken}` }
  t.match(await (await fetch(`${third.url}/plugins`, { headers })).json(), { safeMode: /^Safe mode/ })
  const doctor = place.run(['doctor', '--json'])
  t.equal(await doctor.exited, 1)
  t.match(doctor.stdout, /"Safe mode: Patchbay died 2 times/)
  const restart = place.run(['plugins', 'restart', 'lamp'])
  t.equal(await restart.exited, 0)
  t.equal(restart.stdout, 'lamp is running\n')
  const wrong = place.run(['plugins', 'restart'])
  t.equal(await wrong.exited, 2)
  t.equal(wrong.stderr, 'Usage: npx patchbay plugins restart <id>\n')
  await third.program.kill('SIGTERM')

  const fourth = await place.start()
  t.match(await reached(await fourth.client(), 'lamp', 'disabled'), { reason }, 'until a start has lasted')
})

void t.test('an end in good order, a port that is taken and a wrong configuration are no deaths', async (t) => {
  const place = await withLamp(t)
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) t.equal(await (await place.start()).program.kill(signal), 0)
  const server = createServer()
  const port = await new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  )
  t.teardown(() => server.close())
  for (let nth = 0; nth < 2; nth++) {
    t.equal(await place.run(['start'], { PATCHBAY_PORT: String(port) }).exited, 69)
    t.equal(await place.run(['start'], { TELEGRAM_BOT_TOKEN: 'none' }).exited, 78)
  }
  const daemon = await place.start()
  await reached(await daemon.client(), 'lamp', 'running')
})

/** The next start of a host with this data directory. */
async function start(dataDir: string, youthMs?: number) {
  const warnings: string[] = []
  const warn = (_fields: object, message: string) => void warnings.push(message)
  const log = { debug: warn, info: warn, warn, error: warn }
  const safeMode = new SafeMode({ dataDir, commandName: 'patchbay', log, ...(youthMs && { youthMs }) })
  await safeMode.begin()
  return { safeMode, warnings, isOn: safeMode.heldBack('lamp') !== undefined }
}

async function dataDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-starts-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return dir
}

void t.test('a start that lasted makes the next an ordinary one', async (t) => {
  const dir = await dataDir(t)
  await start(dir)
  await start(dir)
  t.equal((await start(dir, 1)).isOn, true)
  while (!(await readFile(join(dir, 'starts.json'), 'utf8')).includes('"deaths":0'));
  t.equal((await start(dir)).isOn, false)
})

void t.test('a death before an end in good order still counts', async (t) => {
  const dir = await dataDir(t)
  await start(dir)
  await (await start(dir)).safeMode.end()
  await start(dir)
  t.equal((await start(dir)).isOn, true)
})

void t.test('what is released is no longer held back, and only that', async (t) => {
  const dir = await dataDir(t)
  t.equal((await start(dir)).safeMode.release('lamp'), false)
  await start(dir)
  const { safeMode } = await start(dir)
  t.equal(safeMode.release('lamp'), true)
  t.equal(safeMode.release('lamp'), false)
  t.equal(safeMode.heldBack('lamp'), undefined)
  t.match(safeMode.heldBack('bell'), /plugins restart bell/)
})

void t.test('a record of another boot, or one that cannot be read or written, keeps nothing from starting', async (t) => {
  const dir = await dataDir(t)
  const file = join(dir, 'starts.json')
  await writeFile(file, '{ "boot": "another", "deaths": 5, "isYoung": true }')
  t.match(await start(dir), { isOn: false, warnings: [] })
  for (const text of ['', '{', '[]', '{"boot":"","deaths":"5"}', 'x'.repeat(5000)]) {
    await writeFile(file, text)
    t.match(await start(dir), { isOn: false, warnings: [/starts\.json cannot be read/] })
  }
  await rm(file)
  await mkdir(file)
  t.match(await start(dir), { isOn: false, warnings: [/cannot be read/, /cannot be written/] })
  t.match(await start(join(dir, 'missing')), { isOn: false, warnings: [/cannot be written/] })
})
