import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { defineInterface } from 'dbus-native'
import t, { type Test } from 'tap'
import { thisUser } from '../../../core/lifecycle/needs-user.ts'
import type { Needs } from '../../../core/plugin/contract.ts'
import { SystemBus } from '../../../core/process/dbus.ts'
import { createDBus } from '../../../core/process/dbus-capability.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { checkPermissions } from '../driver/permissions.ts'

const reboot = 'org.freedesktop.login1.reboot'
const polkit = { [reboot]: 'system:reboot.' }

/** With the capability as the host module has it. */
const examine = async (needs: Needs, bus: SystemBus) =>
  checkPermissions(needs, { user: await thisUser(), bus: createDBus(bus, ['org.freedesktop.PolicyKit1']) })

/** A bus of the test's own, and on it what stands in for polkit, answering as told; `asked` is what it was asked. */
async function withPolkit(t: Test, answer: () => [boolean, boolean, object]) {
  const privateBus = await new PrivateBus(t).start()
  const asked: Array<{ subject: unknown; action: string; flags: number }> = []
  const client = await privateBus.client()
  const authority = defineInterface({
    name: 'org.freedesktop.PolicyKit1.Authority',
    methods: {
      CheckAuthorization: {
        in: { subject: '(sa{sv})', action: 's', details: 'a{ss}', flags: 'u', cancellation: 's' },
        out: { result: '(bba{ss})' },
        handler: (question: { subject: unknown; action: string; flags: number }) => {
          asked.push(question)
          return answer()
        },
      },
    },
  })
  await client.export('/org/freedesktop/PolicyKit1/Authority', authority)
  await client.ownName('org.freedesktop.PolicyKit1')
  const bus = new SystemBus(privateBus.address)
  t.teardown(() => bus.close())
  return { bus, privateBus, asked }
}

void t.test('polkit is asked for our own connection, without anybody at the machine', async (t) => {
  const { bus, asked, privateBus } = await withPolkit(t, () => [true, false, {}])
  t.match(await examine({ polkit }, bus), [
    {
      kind: 'polkit',
      name: reboot,
      ok: true,
      optional: true,
      sentence: /^polkit permits org\.freedesktop\.login1\.reboot to the user /,
    },
  ])
  t.match(asked, [{ action: reboot, flags: 0 }])
  const text = JSON.stringify(asked)
  t.match(text, /system-bus-name/)
  t.match(text, /":1\.\d+"/, 'by the name that the bus gave us')
  while ((await privateBus.strangers()).length > 0) await new Promise(setImmediate)
  t.pass('the bus is let go')
})

for (const [what, answer] of [
  ['no', [false, false, {}]],
  ['that it would ask for a password', [false, true, {}]],
] as const) {
  void t.test(
    `polkit that says ${what} does not permit it, and the rule that mends it names one user and one action`,
    async (t) => {
      const { bus } = await withPolkit(t, () => [...answer])
      const [finding] = await examine({ polkit }, bus)
      t.match(finding, { ok: false, optional: true, sentence: /^polkit does not permit .*\. It is for: system:reboot\.$/ })
      t.match(
        finding?.mend,
        /^echo 'polkit\.addRule\(.*action\.id == "org\.freedesktop\.login1\.reboot" && subject\.user == "\w+"\).*' \| sudo tee \/etc\/polkit-1\/rules\.d\/50-patchbay-org\.freedesktop\.login1\.reboot\.rules$/,
      )
    },
  )
}

void t.test('an action that polkit does not know is told, with what it is for', async (t) => {
  const { bus } = await withPolkit(t, () => {
    throw Object.assign(new Error(`Action ${reboot} is not registered`), { dbusName: 'org.freedesktop.PolicyKit1.Error.Failed' })
  })
  t.match(await examine({ polkit }, bus), [
    { ok: false, optional: true, sentence: /is not registered.*It is for: system:reboot\.$/, mend: /^pkaction / },
  ])
})

void t.test('without polkit, or without a bus, nothing is known, and that is said once', async (t) => {
  const privateBus = new PrivateBus(t)
  const bus = new SystemBus(privateBus.address)
  t.teardown(() => bus.close())
  const both = { polkit: { ...polkit, 'org.freedesktop.login1.power-off': 'system:shutdown.' } }
  const unknown = { kind: 'polkit', ok: false, optional: true }
  const outOfReach = /^What polkit permits is not known: The system bus cannot be reached \(ENOENT\)\.$/
  t.match(await examine(both, bus), [{ ...unknown, sentence: outOfReach, mend: 'sudo apt-get install dbus polkitd' }])
  await privateBus.start()
  const told = await examine(both, bus)
  t.match(told, [{ ...unknown, sentence: /: polkit does not run\.$/, mend: 'sudo apt-get install polkitd' }])
  t.equal(told.length, 1, 'said once')
  t.same(await examine({}, bus), [])
})

void t.test('polkit that fails to answer leaves the action unknown', async (t) => {
  const { bus } = await withPolkit(t, () => {
    throw Object.assign(new Error('out of memory'), { dbusName: 'org.freedesktop.DBus.Error.NoMemory' })
  })
  t.match(await examine({ polkit }, bus), [
    {
      name: reboot,
      ok: false,
      optional: true,
      sentence: /^Whether polkit permits .* is not known: out of memory\.$/,
      mend: /systemctl/,
    },
  ])
})

void t.test('a group that the user is not in, or that is not there, is told with the command that mends it', async (t) => {
  const module = (path: string) => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href)
  // Root needs no group: the process gives its rights up, once it has loaded what it needs.
  const script = `import { checkPermissions } from ${module('plugins/host/driver/permissions.ts')}
    import { thisUser } from ${module('core/lifecycle/needs-user.ts')}
    if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534) }
    const groups = { daemon: 'to serve.', 'no-such-group': 'nothing.' }
    console.log(JSON.stringify(await checkPermissions({ groups }, { user: await thisUser() })))`
  const args = ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  t.match(JSON.parse(stdout), [
    {
      kind: 'group',
      name: 'daemon',
      ok: false,
      optional: true,
      sentence: /^The user \w+ is not in the group daemon\. It is for: to serve\.$/,
      mend: /^sudo usermod -aG daemon \w+$/,
    },
    {
      ok: false,
      sentence: /^There is no group no-such-group /,
      mend: /^sudo groupadd --system no-such-group && sudo usermod -aG/,
    },
  ])
})
