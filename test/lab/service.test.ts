// The service on a machine that systemd runs: from a checkout to an installed daemon, its upkeep, and its end. One machine; the
// tests follow one another, each in the state that the one before has left.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { io } from 'socket.io-client'
import t, { type Test } from 'tap'
import { connected, type TestClient } from '../../core/testing/host.ts'
import { signedInitData } from '../../core/testing/init-data.ts'
import { bootMachine } from './machine.ts'
import { botToken, checkout, putPatchbay } from './patchbay.ts'

t.setTimeout(900_000)

const owner = { initData: signedInitData(botToken, 1000) }

const machine = await bootMachine(t, { ports: [8080], frozen: true })
const url = `http://127.0.0.1:${machine.ports.get(8080)}`

/** The output of a script that must succeed. */
async function sh(script: string, timeoutMs = 180_000): Promise<string> {
  const { code, output } = await machine.run(script, { timeoutMs })
  if (code !== 0) throw new Error(`exit code ${code} of ${script}:\n${output}`)
  return output.trimEnd()
}
const show = (property: string, unit = 'patchbay.service') => sh(`systemctl show -P ${property} ${unit}`)

/** A client on the outside, with whatever was given to it before. */
async function connect(t: Test, auth: object): Promise<TestClient> {
  const socket = io(url, { auth, transports: ['websocket'], forceNew: true, reconnection: false })
  t.teardown(() => socket.close())
  return connected(socket)
}

/** The token with which the owner's one session goes on, from the first test to the last. */
let sessionToken = ''
async function resume(t: Test): Promise<TestClient> {
  const client = await connect(t, { sessionToken })
  sessionToken = client.sessionToken
  return client
}

const install = (...options: string[]) =>
  machine.run(`cd ${checkout} && scripts/install.sh ${options.join(' ')}`, { timeoutMs: 240_000 })
const started = performance.now()
const elapsed = () => `${Math.round((performance.now() - started) / 1000)} s`

void t.test('a daemon that runs from the checkout keeps the installer away until it is stopped', async (t) => {
  await putPatchbay(machine)
  await sh(`cd ${checkout}
    printf '{ "address": "0.0.0.0" } // kept\\n' >config/host.json
    printf '{ "users": { "1000": "owner" } }\\n' >config/access.json
    systemd-run --quiet --unit=checkout --service-type=exec --working-directory=${checkout} --setenv=TELEGRAM_BOT_TOKEN=${botToken} \\
      node dist/cli.js start
    until curl -sf http://127.0.0.1:8080/readyz; do sleep 0.5; done`)
  sessionToken = (await connect(t, owner)).sessionToken
  const { code, output } = await install()
  t.equal(code, 1)
  t.match(output, 'a daemon runs from this checkout. Stop it first')
  t.equal((await machine.run('id patchbay')).code, 1, 'nothing was done')
  await sh('systemctl stop checkout')
})

void t.test('the installer makes it a service that knows the settings and the sessions of the checkout', async (t) => {
  const begun = performance.now()
  const { code, output } = await install()
  t.comment(`installed in ${Math.round((performance.now() - begun) / 1000)} s`)
  t.equal(code, 0, output)
  t.equal(await show('ActiveState'), 'active')
  t.match(await show('StatusText'), /^\d+ of \d+ plugins run/)
  await resume(t)
  t.match(await sh('cat /etc/patchbay/host.json'), '// kept')
  t.equal(
    await sh('stat -c "%U %a" /etc/patchbay /var/lib/patchbay /var/lib/patchbay/sessions.json | xargs'),
    'patchbay 750 patchbay 700 patchbay 600',
  )
})

void t.test('it runs as nobody of importance', async (t) => {
  const status = await sh('cat /proc/$(systemctl show -P MainPID patchbay)/status')
  t.match(status, new RegExp(`^Uid:\\s+${await sh('id -u patchbay')}\\s`, 'm'))
  t.match(status, /^CapBnd:\s+0+$/m)
  t.match(status, /^NoNewPrivs:\s+1$/m)
  for (const unit of ['patchbay.service', 'patchbay-smart@test.service']) {
    const [, exposure] =
      /Overall exposure level for .*: ([\d.]+)/.exec(await sh(`systemd-analyze security --no-pager ${unit}`)) ?? []
    t.comment(`${unit}: exposure ${exposure}`)
    t.ok(Number(exposure) < 3, `systemd-analyze security ${unit}: ${exposure}`)
  }
  t.comment(`memory of the service: ${Math.round(Number(await show('MemoryCurrent')) / 1e6)} MB`)
})

void t.test('polkit lets the service restart the machine and switch it off, and nobody else', async (t) => {
  const ask = async (method: string, user: string) =>
    /"(\w+)"/.exec(
      await sh(
        `runuser -u ${user} -- busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ${method}`,
      ),
    )?.[1]
  for (const method of ['CanReboot', 'CanPowerOff']) {
    t.equal(await ask(method, 'patchbay'), 'yes', method)
    t.not(await ask(method, 'nobody'), 'yes')
  }
  for (const method of ['CanHalt', 'CanSuspend', 'CanRebootToFirmwareSetup']) t.not(await ask(method, 'patchbay'), 'yes', method)
  const permissions = await sh('runuser -u patchbay -- nmcli --terse general permissions')
  const allowed = permissions.split('\n').filter((line) => line.endsWith(':yes'))
  t.same(allowed.map((line) => line.replace(/^org\.freedesktop\.NetworkManager\.(.*):yes$/, '$1')).sort(), [
    'checkpoint-rollback',
    'enable-disable-wifi',
    'network-control',
    'settings.modify.system',
    'wifi.scan',
  ])
})

void t.test('the helper tells the service, and nobody else, how the drives are', async (t) => {
  const lines = await sh('echo "; touch /tmp/mark" | nc -U /run/patchbay-smart.socket')
  t.match(lines, /"command":"nvme smart-log \/dev\/nvme0n1 -o json","exitCode":0.*\{"complete":true\}$/s)
  t.equal((await machine.run('ls /tmp/mark')).code, 2)
  t.not((await machine.run('runuser -u nobody -- nc -U /run/patchbay-smart.socket </dev/null')).code, 0)
  const client = await resume(t)
  const health = client.next<{ serial: string }>('storage:health')
  await client.ask('module:subscribe', { module: 'storage' })
  t.match(await health, { device: '/dev/nvme0n1', serial: 'LAB0001', partial: false, temperature: 50 })
})

void t.test('without the helper the drive is told in part, with the command that mends it', async (t) => {
  // In this order: the service brings the socket along when it starts.
  await sh('systemctl restart patchbay && systemctl stop patchbay-smart.socket')
  const client = await resume(t)
  const failure = client.next<{ code: string }>('error')
  const drives = client.next<object[]>('storage:drives')
  await client.ask('module:subscribe', { module: 'storage' })
  t.match(await failure, { code: 'STORAGE_PERMISSION', message: /patchbay-smart\.socket/ })
  t.match(await drives, [{ device: '/dev/nvme0n1', partial: true, serial: 'LAB0001', temperature: 50 }])
  // Right after its start this machine is too busy for every plugin to say in time what it finds.
  await sh(`until patchbay doctor | grep -F 'sudo systemctl restart patchbay-smart.socket'; do sleep 2; done`)
  await sh('systemctl start patchbay-smart.socket')
})

void t.test('the command line works on the service as its user, and lets nobody else', async (t) => {
  t.match(await sh('patchbay login'), /^http:\/\/.*\/login#[\w-]+$/m)
  const refused = await machine.run('runuser -u nobody -- patchbay login')
  t.equal(refused.code, 77)
  t.match(refused.output, 'sudo patchbay login')
  t.match(await sh('patchbay access add 2000 viewer; cat /etc/patchbay/access.json'), '"2000"')
  t.equal(await sh('stat -c %U /etc/patchbay/access.json'), 'patchbay')
})

void t.test('a bot token lies where only root reads it, and the service gets it', async (t) => {
  await sh(
    `printf '%s\\n' '${botToken}' | install -m 600 /dev/stdin /etc/credstore/patchbay.telegram-bot-token && systemctl restart patchbay`,
  )
  await connect(t, owner)
  t.notMatch(
    await sh('cat /proc/$(systemctl show -P MainPID patchbay)/environ; journalctl -u patchbay -o cat --no-pager'),
    botToken,
  )
})

void t.test('when its event loop stands still systemd starts it again, and the session goes on', async (t) => {
  await resume(t)
  const pid = await show('MainPID')
  await sh(`kill -STOP ${pid}
    until [ "$(systemctl show -P NRestarts patchbay)" = 1 ] && systemctl --quiet is-active patchbay; do sleep 0.5; done`)
  t.match(await sh('journalctl -u patchbay -o cat --no-pager'), 'Watchdog timeout')
  await resume(t)
})

void t.test('it stops when it is told to, and stays stopped', async (t) => {
  await sh('systemctl stop patchbay')
  t.match([await show('Result'), await show('ExecMainStatus'), await show('ActiveState')], ['success', '0', 'inactive'])
  await sh('systemctl start patchbay')
  t.comment(elapsed())
})

const current = () => sh('basename "$(readlink /opt/patchbay/current)"')

void t.test('installing again upgrades it, and keeps a copy of settings and sessions', async (t) => {
  const before = await current()
  await sh(`echo 'one more line' >>${checkout}/CHANGELOG.md`)
  const { code, output } = await install()
  t.equal(code, 0, output)
  t.not(await current(), before)
  t.equal(await sh('basename "$(readlink /opt/patchbay/previous)"'), before)
  t.match(
    await sh('tar -tzf /var/backups/patchbay/before-*.tar.gz; stat -c %a /var/backups/patchbay/*'),
    /host\.json.*sessions\.json.*\n600$/s,
  )
  await resume(t)
})

void t.test('it goes back to the release before when it is told to', async (t) => {
  const before = await sh('basename "$(readlink /opt/patchbay/previous)"')
  const { code, output } = await install('--rollback')
  t.equal(code, 0, output)
  t.equal(await current(), before)
  await resume(t)
})

void t.test('a release that does not run is not installed: the one before runs again', async (t) => {
  const before = await current()
  // Without its page the daemon cannot start; what the installer itself asks of the new release still works.
  await sh(`mv ${checkout}/dist/http/login.html /root`)
  const { code, output } = await install()
  t.equal(code, 1)
  t.match(output, new RegExp(`it does not run .*goes back to ${before}.*was not installed; ${before} runs again`, 's'))
  t.equal(await current(), before)
  t.equal(await show('ActiveState'), 'active')
  await resume(t)
  await sh(`mv /root/login.html ${checkout}/dist/http`)
  t.comment(elapsed())
})

void t.test('taken out, it leaves settings and sessions, and nothing else', async (t) => {
  t.match(
    await sh(`cd ${checkout} && scripts/uninstall.sh --dry-run && systemctl is-active patchbay`),
    /removes \/opt\/patchbay.*\nactive$/s,
  )
  await sh(`cd ${checkout} && scripts/uninstall.sh`)
  t.equal(
    await sh('find /etc /usr/local /opt /run -xdev -name "*patchbay*" -not -path "/opt/node/*" | sort | xargs'),
    '/etc/credstore/patchbay.telegram-bot-token /etc/patchbay',
  )
  t.match(await sh('cat /etc/patchbay/host.json; ls /var/lib/patchbay'), /kept.*sessions\.json/s)
})

void t.test('the Debian package takes over settings and sessions, and purging it leaves nothing', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-deb-'))
  t.teardown(() => rm(dir, { recursive: true }))
  const { stdout } = await promisify(execFile)('scripts/package-deb.sh', [dir], { cwd: join(import.meta.dirname, '../..') })
  await machine.put(stdout.trim(), '/root/patchbay.deb')
  // Node.js is no package in this machine.
  await sh('dpkg --force-depends --install /root/patchbay.deb')
  t.equal(await show('ActiveState'), 'active')
  t.match(await sh('patchbay login'), '/login#')
  await resume(t)
  await sh('dpkg --purge patchbay')
  t.equal(
    await sh(
      'find /etc /usr/lib/patchbay /usr/bin /var/lib/patchbay /opt -xdev -name "*patchbay*" -not -path "/opt/node/*" 2>/dev/null | xargs',
    ),
    '',
  )
  t.equal((await machine.run('id patchbay')).code, 1)
  t.comment(elapsed())
})
