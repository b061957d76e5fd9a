import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { createHelper } from '../driver/helper.ts'
import { createReader } from '../driver/storage.ts'
import { findings } from '../findings.ts'
import { DF, layOut, type Run, replay, run, tree, without } from './machine.ts'

const complete = '{"complete":true}\n'
/** Lines as scripts/service/smart-helper prints them. */
const lines = (runs: Readonly<Record<string, Run>>) =>
  Object.entries(runs).map(([command, { exitCode, stdout, stderr }]) => {
    const coded = (text: string) => Buffer.from(text).toString('base64')
    return `${JSON.stringify({ command, exitCode, stdout: coded(stdout), stderr: coded(stderr) })}\n`
  })

/** A socket that says this to whoever connects, and hangs up. */
async function serve(t: Test, text: string | (() => string)) {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-helper-'))
  const path = join(dir, 'socket')
  const calls: string[] = []
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    calls.push('')
    const index = calls.length - 1
    socket.on('data', (data) => (calls[index] += String(data)))
    socket.end(typeof text === 'string' ? text : text())
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(async () => {
    server.close()
    await rm(dir, { recursive: true })
  })
  return { path, calls }
}

/** The lab machine without SATA and USB, as seen by a service user; what root's programs say of the drives. */
async function refused(t: Test) {
  const denied = await run('nvme-2.3/smart-log-as-user')
  const own: Record<string, Run> = {
    [`${DF} / /mnt/two words`]: await run('df-9.1/lab-machine'),
  }
  const roots: Record<string, Run> = {}
  const drives: Array<[string, string, string]> = [
    ['nvme0n1', 'smart-log', 'id-ctrl'],
    ['nvme1n1', 'smart-log-nvme1n1', 'id-ctrl-nvme1n1'],
    ['nvme2n1', 'smart-log-warning-9', 'id-ctrl-nvme2n1'],
  ]
  for (const [name, log, id] of drives)
    for (const [command, file] of [
      ['smart-log', log],
      ['id-ctrl', id],
    ]) {
      own[`nvme ${command} /dev/${name} -o json`] = denied
      roots[`nvme ${command} /dev/${name} -o json`] = await run(`nvme-2.3/${file}`)
    }
  const root = await layOut(t, without(await tree('lab-machine'), /sd[ab]|8:\d|179:|mmcblk/))
  return { own, roots, root }
}

void t.test('what the daemon may not read, root’s helper tells, in full', async (t) => {
  const { own, roots, root } = await refused(t)
  const { path, calls } = await serve(t, [...lines(roots), complete].join(''))
  const exec = replay(own)
  const read = createReader(exec, root, createHelper(root, path))
  const reading = await read()
  t.match(reading.health, { device: '/dev/nvme0n1', serial: 'LAB0001', partial: false, verdict: 'good' })
  t.match(reading.drives, [{ serial: 'LAB0002' }, { serial: 'LAB0003', verdict: 'failing' }])
  t.match(findings(reading), [{ kind: 'drive', name: '/dev/nvme0n1', ok: true }, { ok: true }, { ok: true }])
  t.same(calls, [''], 'it is asked once for all drives, and nothing is said to it')

  const before = exec.calls.filter((line) => line.startsWith('nvme')).length
  t.equal((await read()).health?.serial, 'LAB0001')
  t.equal(exec.calls.filter((line) => line.startsWith('nvme')).length, before, 'what was refused is not tried again')
  t.equal(calls.length, 1, 'and an answer of the last seconds is good enough')
})

void t.test('a drive that the helper could not read either says so, and the others are told', async (t) => {
  const { own, roots, root } = await refused(t)
  roots['nvme smart-log /dev/nvme1n1 -o json'] = { exitCode: 124, stdout: '', stderr: '' }
  const { path } = await serve(t, [...lines(roots), complete].join(''))
  const reading = await createReader(replay(own), root, createHelper(root, path))()
  t.equal(reading.health?.device, '/dev/nvme0n1')
  t.match(reading.drives[0], { device: '/dev/nvme1n1', partial: true, verdict: null })
  t.match(findings(reading)[1], { ok: false, optional: true, sentence: /\/dev\/nvme1n1 could not be read/ })
})

void t.test('a program that root has not either is told by its package', async (t) => {
  const { own, root } = await refused(t)
  const { path } = await serve(t, complete)
  const { failure } = await createReader(replay(own), root, createHelper(root, path))()
  t.match(failure, { code: 'STORAGE_TOOL_MISSING', mend: 'sudo apt install nvme-cli' })
})

void t.test('without the helper the command that mends it is told', async (t) => {
  const { own, root } = await refused(t)
  const read = createReader(replay(own), root)
  const reading = await read()
  t.match(reading.failure, { code: 'STORAGE_PERMISSION', message: /CAP_SYS_ADMIN.*helper/s })
  t.match(reading.drives[0], { partial: true, reason: /scripts\/install\.sh/ })
  t.match(findings(reading)[0], { ok: false, mend: 'sudo scripts/install.sh' })
})

void t.test('a helper that is installed and stopped is started by the command that is told', async (t) => {
  const { own, root } = await refused(t)
  await mkdir(join(root, 'etc/systemd/system'), { recursive: true })
  await writeFile(join(root, 'etc/systemd/system/patchbay-smart.socket'), '')
  const [finding] = findings(await createReader(replay(own), root)())
  t.match(finding, { ok: false, mend: 'sudo systemctl restart patchbay-smart.socket' })
})

void t.test('an answer that is cut off, too long or none is no answer', async (t) => {
  const { own, roots, root } = await refused(t)
  for (const text of ['', lines(roots).join(''), `${lines(roots).join('')}{"comp`, `${' '.repeat(9 * 1024 * 1024)}${complete}`]) {
    const { path } = await serve(t, text)
    const reading = await createReader(replay(own), root, createHelper(root, path))()
    t.match(reading.failure, { code: 'STORAGE_PERMISSION', message: /did not answer as expected/, mend: /journalctl/ })
  }
})

void t.test('the real helper ends by saying that it is complete, whatever drives there are', async (t) => {
  const script = new URL('../../../scripts/service/smart-helper', import.meta.url).pathname
  const { stdout } = await promisify(execFile)(script, [])
  const { path } = await serve(t, stdout)
  t.equal(await createHelper('/', path).problem(), null)
})
