import { spawn } from 'node:child_process'
import { access, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Daemon, Place, Program, reached } from './daemon.ts'

const script = new URL('../../scripts/start.sh', import.meta.url).pathname
const prepare = new URL('../../scripts/prepare.sh', import.meta.url).pathname
const simulated = ['audio', 'bluetooth', 'camera', 'storage', 'system', 'wifi']

void t.test(
  'the demo runs every module on simulated hardware, says so wherever one looks, and lies in a place of its own',
  async (t) => {
    const place = await Place.create(t, { access: { users: { '1000': 'owner' } }, plugins: { plugins: {} } })
    const real = { PATCHBAY_CONFIG_DIR: join(place.dir, 'real/config'), PATCHBAY_DATA_DIR: join(place.dir, 'real/data') }
    const nothing = { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent/bus', XDG_RUNTIME_DIR: join(place.dir, 'none') }
    const PATH = `${join(process.execPath, '..')}:${process.env.PATH}`
    const env = { ...place.env, ...real, ...nothing, PATH, PATCHBAY_DEMO_DIR: place.dir }
    const program = new Program(spawn('env', ['-u', 'NODE_OPTIONS', script, '--demo'], { env }))
    t.teardown(() => program.kill('SIGKILL'))
    await program.says(/^patchbay: SIMULATED: .*$/m)
    const ready = await program.says(/^.*"msg":"is ready".*$/m)
    const daemon = new Daemon(program, (JSON.parse(ready) as { url: string }).url, t)
    const client = await daemon.client()
    for (const id of simulated)
      t.match(await reached(client, id, 'running'), { simulated: true, reason: /^SIMULATED/ }, `the state of ${id}`)
    for (const id of simulated)
      t.match(program.stdout, new RegExp(`"plugin":"${id}".*"reason":"SIMULATED`), `the log about ${id}`)

    const headers = { authorization: `Bearer ${client.sessionToken}` }
    const document = (await (await fetch(`${daemon.url}/contract`, { headers })).json()) as {
      info: { 'x-patchbay-modules': Record<string, { simulated?: boolean }> }
    }
    const modules = Object.entries(document.info['x-patchbay-modules'])
    t.same(
      modules.flatMap(([id, module]) => (module.simulated ? [id] : [])),
      simulated,
      'the contract',
    )
    t.match(await (await fetch(`${daemon.url}/contract/html`, { headers })).text(), /wifi.*SIMULATED/)

    const doctor = place.run(['doctor'])
    t.equal(await doctor.exited, 0, doctor.stdout)
    t.match(doctor.stdout, /wifi +running +ok +SIMULATED/)
    const plugins = place.run(['plugins'])
    await plugins.exited
    t.match(plugins.stdout, /bluetooth +running +Patchbay +SIMULATED/)

    t.equal(await program.kill('SIGTERM'), 0)
    t.ok((await readdir(place.dataDir)).length > 0)
    await t.rejects(access(join(place.dir, 'real')), 'where others lie is untouched')
  },
)

void t.test('packages that another checkout lends are not replaced', async (t) => {
  const place = await Place.create(t)
  const [lender, borrower] = [join(place.dir, 'lender'), join(place.dir, 'borrower')]
  await mkdir(lender)
  await mkdir(borrower)
  await writeFile(join(lender, 'kept'), '')
  await writeFile(join(borrower, 'package-lock.json'), '{}')
  await symlink(lender, join(borrower, 'node_modules'))
  // Whatever would be run in place of npm shows.
  const steps = `. "$0"; npm() { echo "npm $*"; }; need_packages`
  const program = new Program(
    spawn('bash', ['--norc', '-euo', 'pipefail', '-c', steps, prepare], { cwd: borrower, env: place.env }),
  )
  t.equal(await program.exited, 1)
  t.match(program.stderr, /^patchbay: node_modules is a link to .*lender, where other packages are/)
  t.equal(program.stdout, '')
  t.same(await readdir(lender), ['kept'])
})
