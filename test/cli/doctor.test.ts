import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Place, reached } from './daemon.ts'

interface Row {
  readonly id: string
  readonly state: string
  readonly findings: ReadonlyArray<{ readonly ok: boolean; readonly sentence: string; readonly mend?: string }>
}

/** A place in which, of what comes with Patchbay, only the host module is on. */
async function create(t: Test, config: Readonly<Record<string, unknown>> = {}): Promise<Place> {
  const builtins = await readdir(new URL('../../dist/plugins', import.meta.url))
  const plugins = Object.fromEntries(builtins.filter((id) => id !== 'host').map((id) => [id, { enabled: false }]))
  const place = await Place.create(t, { plugins: { plugins: { ...plugins, lamp: { enabled: true } } }, ...config })
  // As the daemon would make it; a plugin's directory in it comes first here.
  await mkdir(place.dataDir, { mode: 0o700 })
  return place
}

async function said(place: Place, ...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const program = place.run(args)
  return { code: await program.exited, out: program.stdout, err: program.stderr }
}

const rowsOf = (out: string) => JSON.parse(out) as { daemon: boolean; plugins: Row[] }
const needs = { tools: { 'no-such-lamp': { package: 'lampd' }, sh: { package: 'dash' } } }

void t.test('doctor without a daemon looks by itself, and says so first', async (t) => {
  const place = await create(t)
  const { code, out } = await said(place, 'doctor')
  t.equal(code, 0)
  t.match(
    out,
    new RegExp(`^No daemon runs with the data directory ${place.dataDir}: this is what the user \\w+ sees\\.\n\nPLUGIN `),
  )
  t.match(out, /^host +not running {2}ok {2}Node\.js is v/m)
  t.match(out, /^storage +disabled +-- {2}/m, 'a plugin that is switched off is looked at too, and breaks nothing')
  t.match(out, /^Nothing is missing that is needed; -- \d+ more could be mended\.$/m)
  t.match(await said(place, 'doctor', '--all'), { code: 2, err: /Unknown option '--all'/ })
})

void t.test('doctor looks by itself, and says so, where the host module of the daemon does not run', async (t) => {
  const plugins = { host: { settings: { unknown: true } }, lamp: { enabled: true } }
  const place = await create(t, { plugins: { plugins } })
  await place.addPlugin('lamp', { needs: { tools: { sh: { package: 'dash' } } } }, '')
  await place.start()
  const { code, out } = await said(place, 'doctor')
  t.equal(code, 1)
  t.match(out, /^The daemon cannot look, as its host module does not run: this is what the user \w+ sees\.\n\nPLUGIN /)
  t.match(out, /^host +failed /m)
  t.match(out, /^ +!! {2}Its settings in plugins\.json do not fit/m)
  t.match(out, /^lamp +(starting|running) +ok {2}The program sh is /m, 'the daemon tells the states')
})

void t.test('doctor asks the daemon; what is needed and missing has a command to paste and an exit code', async (t) => {
  const place = await create(t)
  await place.addPlugin('lamp', { needs }, '')
  const { code, out } = await said(place, 'doctor')
  t.equal(code, 1, 'without a daemon')
  t.match(out, /^!! 1 missing; -- /m)

  await reached(await (await place.start()).client(), 'lamp', 'unavailable')
  const asked = await said(place, 'doctor')
  t.equal(asked.code, 1)
  t.match(asked.out, /^PLUGIN +STATE +WHAT WAS FOUND\nhost +running +/)
  const lines = asked.out.split('\n')
  const at = lines.findIndex((line) => /^lamp +unavailable {2}!! {2}The program no-such-lamp is not installed\.$/.test(line))
  t.ok(at > 0, asked.out)
  t.equal(lines[at + 1], '    mend: sudo apt-get install lampd')
  t.match(lines[at + 2], /^ +ok {2}The program sh is /)
  for (const line of lines.filter((each) => !each.startsWith('    mend: '))) t.ok(line.length <= 80, line)

  const { daemon, plugins } = rowsOf((await said(place, 'doctor', '--json')).out)
  t.equal(daemon, true)
  const lamp = plugins.find(({ id }) => id === 'lamp')
  t.match(lamp, { state: 'unavailable', findings: [{ ok: false, mend: 'sudo apt-get install lampd' }, { ok: true }] })
  t.equal(plugins[0]?.id, 'host')
})

void t.test('doctor hears from the daemon what it alone knows: its own files, its drivers, and names it refused', async (t) => {
  const place = await create(t)
  const start = `ctx.diagnose(() => [{ kind: 'led', name: 'ACT', ok: false, optional: true, sentence: 'The LED \\u001b[31mglows.', mend: 'true' }])`
  await place.addPlugin('lamp', {}, start)
  const daemon = await place.start()
  await reached(await daemon.client(), 'lamp', 'running')
  const { get } = await import('node:http')
  await new Promise((resolve) =>
    get(`${daemon.url}/healthz`, { headers: { host: 'new.tunnel.example' } }, (answer) => resolve(answer.resume())),
  )
  const { code, out } = await said(place, 'doctor')
  t.equal(code, 0, 'none of it is needed')
  t.match(out, /^host +running +ok {2}Node\.js is v/m)
  t.match(out, /^ {4}mend: npx patchbay config set publicUrl https:\/\/new\.tunnel\.example$/m)
  t.match(out, /^lamp +running +-- {2}The LED \\u\{1b\}\[31mglows\.\n {4}mend: true$/m, 'and nobody steers the terminal')
})

void t.test('doctor tells of configuration files that keep the daemon from starting', async (t) => {
  const place = await create(t, { host: '{\n"prot": 1 }' })
  const { code, out } = await said(place, 'doctor')
  t.equal(code, 1)
  t.match(out, /^ +!! {2}host\.json, line 2: "prot" is not a setting/m)
  t.match(out, new RegExp(`^ {4}mend: sudo editor \\+2 '${place.configDir}/host.json'$`, 'm'))
})

void t.test('config reads and sets what is in force, keeps comments, and refuses what is not valid', async (t) => {
  const place = await create(t, { host: '{\n  // ours\n  "log": { "level": "info" }\n}\n' })
  t.match(await said(place, 'config', 'set', 'publicUrl', 'https://pi.example'), {
    code: 0,
    out: 'publicUrl is set to "https://pi.example".\n',
  })
  t.match(await said(place, 'config', 'get', 'publicUrl'), { out: '"https://pi.example"\n' })
  t.match(await said(place, 'config', 'set', 'hosts', '["pi.local"]'), { code: 0 })
  t.match(await said(place, 'config', 'get', 'limits.inFlightPerUser'), { code: 0, out: /^\d+\n$/ }, 'a default')
  t.match(await said(place, 'config', 'set', 'plugins.lamp.enabled', 'false'), { code: 0 })
  const host = await readFile(join(place.configDir, 'host.json'), 'utf8')
  t.match(
    host,
    /\/\/ ours\n {2}"log": \{ "level": "info" \},\n {2}"publicUrl": "https:\/\/pi\.example",\n {2}"hosts": \[ "pi\.local" \]\n/,
  )
  t.match(JSON.parse(await readFile(join(place.configDir, 'plugins.json'), 'utf8')), { plugins: { lamp: { enabled: false } } })

  t.match(await said(place, 'config', 'unset', 'publicUrl'), { code: 0 })
  t.match(await said(place, 'config', 'get', 'publicUrl'), { code: 1, err: 'publicUrl is not set.\n' })
  t.match(await said(place, 'config', 'set', 'publicUrl', 'pi.example'), {
    code: 1,
    err: /host\.json would not be valid and was left alone/,
  })
  t.match(await said(place, 'config', 'set', 'port', '8080'), { code: 0, err: /^The environment variable PATCHBAY_PORT comes/ })
  t.match(await said(place, 'config', 'get', '__proto__'), { code: 1 })
  for (const args of [[], ['set', 'publicUrl'], ['get', 'a', 'b'], ['constructor', 'a']])
    t.match(await said(place, 'config', ...args), { code: 2, err: /^Usage: npx patchbay config get/ }, args.join(' '))
})

void t.test('a setting that the doctor offers mends what it told of', async (t) => {
  const place = await create(t)
  await place.start()
  const before = await said(place, 'doctor')
  t.match(before.out, /No publicUrl is set/)
  await said(place, 'config', 'set', 'publicUrl', 'https://127.0.0.1:1')
  let after = before.out
  while (/No publicUrl is set/.test(after)) after = (await said(place, 'doctor')).out
  t.match(after, /https:\/\/127\.0\.0\.1:1 does not lead here/)
})
