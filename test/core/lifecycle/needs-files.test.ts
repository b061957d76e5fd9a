import { execFile } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { watchNeeds } from '../../../core/lifecycle/needs.ts'
import { checkDevice, checkSession } from '../../../core/lifecycle/needs-files.ts'
import type { Finding } from '../../../core/plugin/capabilities.ts'
import { SystemBus } from '../../../core/process/dbus.ts'

const isRoot = process.getuid?.() === 0

function directory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'patchbay-files-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  chmodSync(path, 0o755)
  return path
}

/** The same check by a user without rights: root's process gives them up, once it has loaded what it needs. */
async function asOrdinaryUser(device: string, uid = 65534): Promise<Finding> {
  const module = JSON.stringify(new URL('../../../core/lifecycle/needs-files.ts', import.meta.url).href)
  const script = `import { checkDevice } from ${module}
    if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(${uid}) }
    console.log(JSON.stringify(await checkDevice(${JSON.stringify(device)})))`
  const args = ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script]
  // Where tap's hooks in that process write which lines it ran.
  for (const name of ['.tap/coverage', '.tap/processinfo']) if (isRoot && existsSync(name)) chmodSync(name, 0o777)
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as Finding
}

void t.test('a device that this user may not read is told with its owner, and the group that may', async (t) => {
  const root = directory(t)
  const device = join(root, 'video0')
  writeFileSync(device, '')
  // daemon is the group 1 of every Debian. Whoever is not root makes what is his own unreadable for himself.
  if (isRoot) chownSync(device, 0, 1)
  chmodSync(device, 0o040)
  const finding = await asOrdinaryUser(device)
  t.match(finding, { kind: 'device', name: device, ok: false, optional: false })
  t.match(finding.sentence, /video0 may not be read by the user \w+ \(it belongs to user number \d+, group [\w-]+, mode 040\)\.$/)
  t.match(finding.mend, isRoot ? /^sudo usermod -aG daemon \w+$/ : /^sudo usermod -aG [\w-]+ \w+$/)

  chmodSync(device, 0o000)
  t.match(await asOrdinaryUser(device), { ok: false, mend: undefined }, 'a group that may not either is no way to it')
  if (isRoot) {
    chmodSync(device, 0o040)
    const nameless = await asOrdinaryUser(device, 4242)
    t.match(nameless.sentence, 'may not be read by the user number 4242')
    t.equal(nameless.mend, undefined, 'what has no name cannot be put into a group')
  }
  writeFileSync(join(root, 'video1'), '')
  chmodSync(join(root, 'video1'), 0o444)
  t.match(await asOrdinaryUser(join(root, 'video*')), { ok: true }, 'one of several will do')
})

void t.test('a device that may be read is there, and one that is not there has no owner', async (t) => {
  const root = directory(t)
  writeFileSync(join(root, 'led'), '')
  t.match(await checkDevice(join(root, 'led')), { ok: true, sentence: `There is a device ${join(root, 'led')}.` })
  t.match(await checkDevice(join(root, 'none')), {
    ok: false,
    sentence: `There is no device ${join(root, 'none')}.`,
    mend: undefined,
  })
})

void t.test('a session is a directory of the user, and its coming and going is noticed', async (t) => {
  const root = directory(t)
  const before = process.env.XDG_RUNTIME_DIR
  t.teardown(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR
    else process.env.XDG_RUNTIME_DIR = before
  })
  const runtime = join(root, 'run', 'user')
  process.env.XDG_RUNTIME_DIR = runtime
  const none = {
    kind: 'session',
    ok: false,
    optional: false,
    sentence: /has no session: there is no /,
    mend: /^sudo loginctl enable-linger \w+$/,
  }
  t.match(await checkSession(), none)

  const told: boolean[] = []
  let wake = () => {}
  const alive = setInterval(() => undefined, 1000)
  const bus = new SystemBus('unix:path=/nowhere')
  const release = watchNeeds({ session: true }, { bus }, (missing) => {
    told.push(missing.length === 0)
    wake()
  })
  t.teardown(() => {
    release()
    clearInterval(alive)
  })
  const until = async (isThere: boolean) => {
    while (told.at(-1) !== isThere) await new Promise<void>((resolve) => (wake = resolve))
  }
  await until(false)
  mkdirSync(runtime, { recursive: true })
  await until(true)
  t.match(await checkSession(), { ok: true, sentence: /has a session/ })
  rmSync(runtime, { recursive: true })
  await until(false)

  writeFileSync(runtime, '')
  t.match(await checkSession(), { ok: false }, 'a file is none')
  if (isRoot) {
    rmSync(runtime)
    mkdirSync(runtime)
    chownSync(runtime, 1, 1)
    t.match(await checkSession(), { ok: false, sentence: /belongs to another/ })
  }
})
