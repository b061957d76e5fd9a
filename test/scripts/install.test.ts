// What the installer says it would do, what the Debian package holds, and that the files of the service are well-formed. The real
// thing, on a machine that systemd runs: test/lab/service.test.ts.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'

const root = new URL('../..', import.meta.url).pathname
const execute = promisify(execFile)

/** Without tap's hooks for Node.js. */
async function run(program: string, ...args: string[]) {
  try {
    const { stdout, stderr } = await execute('env', ['-u', 'NODE_OPTIONS', program, ...args], { cwd: root })
    return { code: 0, said: stdout + stderr, stdout }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, said: stdout + stderr, stdout }
  }
}

const places = [
  'systemd/system/patchbay.service',
  'systemd/system/patchbay-smart.socket',
  'systemd/system/patchbay-smart@.service',
  'systemd/system/patchbay-plugin@.service',
  'systemd/system/patchbay-plugin-net@.service',
  'systemd/system/patchbay-plugin-dev@.service',
  'systemd/system/patchbay-plugin-dev-net@.service',
  'polkit-1/rules.d/50-patchbay.rules',
]

void t.test('a dry run of the installer says every step and does none', async (t) => {
  const { said } = await run('scripts/install.sh', '--dry-run')
  for (const place of places) t.match(said, `writes /etc/${place}`)
  t.match(said, /copies the package to \/opt\/patchbay\/releases\/\d+\.\d+\.\d+-/)
  t.match(said, /makes the system user patchbay/)
  t.match(said, /starts it and waits until it is ready.*goes back/)
  t.match(said, /nothing was changed\n$/)
  for (const path of ['/etc/systemd/system/patchbay.service', '/opt/patchbay/releases/.new']) await t.rejects(stat(path), path)
})

void t.test('a dry run of the removal leaves settings, unless it is told otherwise', async (t) => {
  t.match((await run('scripts/uninstall.sh', '--dry-run')).said, /settings and sessions stay.*\n.*nothing was changed/)
  t.notMatch((await run('scripts/uninstall.sh', '--dry-run', '--purge')).said, 'stay')
})

void t.test('an option that is none is answered with the usage', async (t) => {
  for (const script of ['scripts/install.sh', 'scripts/uninstall.sh']) {
    const { code, said } = await run(script, '--force')
    t.equal(code, 64)
    t.match(said, 'usage: scripts/')
  }
})

async function unpacked(t: Test) {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-deb-'))
  t.teardown(() => rm(dir, { recursive: true }))
  const { stdout } = await run('scripts/package-deb.sh', dir)
  const deb = stdout.trim()
  await mkdir(join(dir, 'tree'))
  await execute('dpkg-deb', ['--raw-extract', deb, join(dir, 'tree')])
  return { deb, tree: join(dir, 'tree') }
}

void t.test('the Debian package', async (t) => {
  const { deb, tree } = await unpacked(t)
  const control = await readFile(join(tree, 'DEBIAN/control'), 'utf8')
  t.match(control, /^Depends: nodejs \(>= 20\.19\)/m)
  const { stdout: architecture } = await execute('dpkg', ['--print-architecture'])
  t.match(control, `\nArchitecture: ${architecture}`)
  const { size } = await stat(deb)
  t.ok(size < 9e6, `it has ${size} bytes; 9 MB are allowed`)

  await t.test('puts everything below /usr, as root’s, and nothing that others may write', async (t) => {
    const { stdout } = await execute('dpkg-deb', ['--contents', deb])
    const lines = stdout.trimEnd().split('\n')
    for (const line of lines) {
      if (!/^[d-]rw.r-.r-. root\/root .* \.\/(usr\/.*)?$/.test(line)) t.fail(line)
    }
    for (const code of ['@libsql', '@node-datachannel'])
      t.match(stdout, new RegExp(`/node_modules/${code}/linux-[^/]+/\\w+\\.node\n`))
    for (const place of places) t.match(stdout, ` ./usr/${place.startsWith('polkit') ? 'share' : 'lib'}/${place}\n`)
  })

  await t.test('has the names of its places filled in, and scripts that a shell can read', async (t) => {
    const unit = await readFile(join(tree, 'usr/lib/systemd/system/patchbay.service'), 'utf8')
    t.match(
      unit,
      'ExecStart=/usr/bin/perl /usr/lib/patchbay/service/notify-socket /usr/bin/node /usr/lib/patchbay/dist/cli.js start\n',
    )
    const helper = await readFile(join(tree, 'usr/lib/systemd/system/patchbay-smart@.service'), 'utf8')
    t.match(helper, 'ExecStart=/usr/lib/patchbay/service/smart-helper\n')
    t.notMatch(unit + helper + (await readFile(join(tree, 'usr/bin/patchbay'), 'utf8')), /@[A-Z]+@(?!.*filled in)/)
    for (const script of ['preinst', 'postinst', 'prerm', 'postrm']) await execute('sh', ['-n', join(tree, 'DEBIAN', script)])
    await execute('sh', ['-n', join(tree, 'usr/bin/patchbay')])
  })

  await t.test('has a daemon in it that finds its own files', async (t) => {
    const { said } = await run(process.execPath, join(tree, 'usr/lib/patchbay/dist/cli.js'), 'help')
    t.match(said, 'Usage: patchbay <command>')
  })
})

void t.test('the polkit rule permits these actions to the service’s user, and nothing to anybody else', async (t) => {
  const text = await readFile(join(root, 'scripts/service/polkit.rules'), 'utf8')
  const polkit = { Result: { YES: 'yes', NOT_HANDLED: 'not handled' }, addRule: (rule: unknown) => rule }
  type Rule = (action: { id: string; lookup(key: string): string }, subject: { user: string }) => string
  const rules: Rule[] = []
  new Function('polkit', text)({ ...polkit, addRule: (rule: Rule) => rules.push(rule) })
  const ask = (id: string, user: string, details: Record<string, string> = {}) => {
    const answers = rules.map((rule) => rule({ id, lookup: (key) => details[key] ?? '' }, { user }))
    return answers.find((answer) => answer !== 'not handled') ?? 'not handled'
  }
  for (const what of ['reboot', 'reboot-multiple-sessions', 'power-off', 'power-off-multiple-sessions']) {
    t.equal(ask(`org.freedesktop.login1.${what}`, 'patchbay'), 'yes')
    t.equal(ask(`org.freedesktop.login1.${what}`, 'pi'), 'not handled')
  }
  for (const id of [
    'org.freedesktop.login1.reboot-ignore-inhibit',
    'org.freedesktop.systemd1.manage-units',
    'org.freedesktop.policykit.exec',
    '',
  ])
    t.equal(ask(id, 'patchbay'), 'not handled', id)

  const manage = (unit: string, verb: string, user = 'patchbay') =>
    ask('org.freedesktop.systemd1.manage-units', user, { unit, verb })
  for (const template of ['', '-net', '-dev', '-dev-net'])
    for (const verb of ['restart', 'stop']) t.equal(manage(`patchbay-plugin${template}@lamp-2.service`, verb), 'yes')
  t.equal(manage('patchbay-plugin@lamp.service', 'restart', 'pi'), 'not handled')
  for (const verb of ['start', 'set-property', 'kill', 'reload', ''])
    t.equal(manage('patchbay-plugin@lamp.service', verb), 'not handled')
  for (const unit of [
    'ssh.service',
    'patchbay.service',
    'patchbay-plugin@.service',
    'patchbay-plugin@Lamp.service',
    'patchbay-plugin@a.b.service',
    'patchbay-plugin-root@lamp.service',
    'x-patchbay-plugin@lamp.service',
    'patchbay-plugin@lamp.service.d',
    'patchbay-plugin@lamp.service\nssh.service',
    'patchbay-smart@lamp.service',
  ])
    t.equal(manage(unit, 'restart'), 'not handled', unit)
})
