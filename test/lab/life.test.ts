// What happens to a machine and to the service on it: drives that come and go, crashes, too little memory, a reboot; and one client, a
// stock one, that goes on through all of it. One machine; the tests follow one another.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { PluginStatus, SessionInfo } from '../../core/plugin/host-control.ts'
import type { AudioState } from '../../plugins/audio/driver/state.ts'
import { pluginFiles } from '../cli/packages.ts'
import { LabClient } from './client.ts'
import { bootMachine } from './machine.ts'
import { installPatchbay } from './patchbay.ts'

t.setTimeout(1_800_000)

const machine = await bootMachine(t, { ports: [8080], frozen: true })

/** The output of a script that must succeed. */
async function sh(script: string): Promise<string> {
  const { code, output } = await machine.run(script, { timeoutMs: 300_000 })
  if (code !== 0) throw new Error(`exit code ${code} of ${script}:\n${output}`)
  return output.trimEnd()
}
const show = (property: string) => sh(`systemctl show -P ${property} patchbay.service`)

await installPatchbay(machine, { 1000: 'owner' }, { sound: true })
const client = await LabClient.connect(t, machine.ports.get(8080) as number, 1000)

/** Resolves when the client has lost the daemon by `work` and found it again by itself, in the session that it had. */
async function survives(t: Tap, work: () => Promise<unknown>): Promise<void> {
  const before = await session()
  const from = client.heard.length
  await work()
  await client.next('auth:success', undefined, from)
  const { id, userId } = await session()
  t.same({ id, userId }, { id: before.id, userId: 'telegram:1000' }, 'the session that it had')
  t.match(await client.ask('module:subscribe', { module: 'host' }), { success: true })
}
type Tap = Pick<typeof t, 'same' | 'match'>

/** The one session there is. */
async function session(): Promise<SessionInfo> {
  const [one, ...others] = JSON.parse(await sh('patchbay sessions --json')) as SessionInfo[]
  if (!one || others.length > 0) throw new Error(`${others.length + 1} sessions`)
  return one
}

void t.test('the settings of its sandbox are in force, and as good as the handbook says', async (t) => {
  const pid = await show('MainPID')
  const status = await sh(`cat /proc/${pid}/status`)
  for (const line of [/^CapEff:\t0+$/m, /^CapBnd:\t0+$/m, /^NoNewPrivs:\t1$/m, /^Seccomp:\t2$/m]) t.match(status, line)
  const inside = (script: string) =>
    machine.run(
      `nsenter --mount --target ${pid} --setuid $(id -u patchbay) --setgid $(id -g patchbay) bash -c '${script.replaceAll("'", "'\\''")}'`,
    )
  for (const path of ['/usr/mine', '/etc/mine', '/opt/mine', '/var/lib/mine', '/run/mine', '/home/mine', '/root/mine'])
    t.match(await inside(`touch ${path}`), { code: 1, output: /Read-only file system|Permission denied/ }, path)
  for (const path of ['/etc/patchbay', '/var/lib/patchbay', '/tmp'])
    t.equal((await inside(`touch ${path}/mine && rm ${path}/mine`)).code, 0, path)
  await sh('touch /tmp/theirs')
  t.not((await inside('ls /tmp/theirs')).code, 0, 'its /tmp is its own')
  t.not((await inside('head -c 1 /dev/nvme0n1')).code, 0, 'no drive')

  const unit = '/sys/fs/cgroup$(systemctl show -P ControlGroup patchbay)'
  t.equal(await sh(`cat ${unit}/memory.max ${unit}/memory.high ${unit}/pids.max | xargs`), '536870912 402653184 256')
  t.match(await sh(`cat /proc/${pid}/limits`), /Max core file size\s+0\s+0/)

  const [, exposure] =
    /Overall exposure level for .*: ([\d.]+)/.exec(await sh('systemd-analyze security --no-pager patchbay.service')) ?? []
  const handbook = await readFile(join(import.meta.dirname, '../../scripts/service/README.md'), 'utf8')
  const [, promised] = /`systemd-analyze security` \| ([\d.]+) for the service/.exec(handbook) ?? []
  t.comment(`systemd-analyze security: ${exposure}; the handbook says ${promised}`)
  t.equal(exposure, promised)
})

interface Drive {
  readonly device: string
  readonly serial: string
  readonly partial: boolean
}
const second = (drives: Drive[]) => drives.find(({ serial }) => serial === 'LAB0002')

void t.test('a drive that is plugged in is shown to who watches, with its health, and one that is pulled is not', async (t) => {
  await client.ask('module:subscribe', { module: 'storage' })
  t.match(await client.now('storage:health'), { serial: 'LAB0001', partial: false })
  t.same(await client.now<Drive[]>('storage:drives'), [])
  const plugged = client.next<Drive[]>('storage:drives', (drives) => second(drives) !== undefined)
  t.equal(await machine.monitor('device_add nvme,id=second,serial=LAB0002,drive=second,bus=bay'), '')
  t.match(second(await plugged), { device: '/dev/nvme1n1', temperature: 50 })
  // Two drives in 8 s are more than root's helper can be sure of in here.
  while (second(await client.now<Drive[]>('storage:drives'))?.partial) {
    const { retryAfter } = await client.ask('storage:refresh')
    await delay(Number(retryAfter ?? 0) * 1000)
  }
  t.match(second(await client.now('storage:drives')), { partial: false, verdict: 'good' })
  const pulled = client.next<Drive[]>('storage:drives', (drives) => second(drives) === undefined)
  t.equal(await machine.monitor('device_del second'), '')
  await pulled
  t.match(await client.now('storage:health'), { serial: 'LAB0001' })
})

void t.test('without root’s helper a drive that is plugged in is told in part, with the reason', async (t) => {
  await sh('systemctl stop patchbay-smart.socket')
  const plugged = client.next<Drive[]>('storage:drives', (drives) => second(drives) !== undefined)
  const failure = client.next<{ code: string }>('error', ({ code }) => code === 'STORAGE_PERMISSION')
  await machine.monitor('device_add nvme,id=second,serial=LAB0002,drive=second,bus=bay')
  t.match(second(await plugged), { partial: true, temperature: 50, verdict: null, reason: /patchbay-smart\.socket/ })
  t.match(await failure, { module: 'storage', message: /CAP_SYS_ADMIN/ })
  await machine.monitor('device_del second')
  await sh('systemctl start patchbay-smart.socket')
})

// Before what makes the daemon start in safe mode.

/** A package for a plugin called lamp, put into the machine. */
async function lamp(version: string, start: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-lamp-'))
  try {
    await mkdir(join(dir, 'lamp'))
    const files = pluginFiles('lamp', { version }, { commands: { 'lamp:version': {} } }, start)
    for (const [name, text] of Object.entries(files)) await writeFile(join(dir, 'lamp', name), text)
    await machine.put(join(dir, 'lamp'), `/root/lamp-${version}`)
  } finally {
    await rm(dir, { recursive: true })
  }
  return `/root/lamp-${version}`
}
const isLamp = (fits: (row: PluginStatus) => boolean) => (rows: PluginStatus[]) =>
  rows.some((row) => row.id === 'lamp' && fits(row))
const rowOf = (rows: PluginStatus[]) => rows.find(({ id }) => id === 'lamp')

void t.test(
  'a version of a plugin that does not start is rolled back, in its service too; removed, nothing of it stays',
  async (t) => {
    const good = await lamp('1.0.0', "ctx.handle('lamp:version', () => ({ version: '1.0.0' }))")
    const bad = await lamp('2.0.0', "throw new Error('no bulb')")
    const next = (fits: (row: PluginStatus) => boolean, from: number) =>
      client.next<PluginStatus[]>('host:plugins', isLamp(fits), from)
    await client.ask('module:subscribe', { module: 'host' })
    const before = client.heard.length
    await sh(`patchbay plugins add ${good} && patchbay plugins enable lamp --yes`)
    t.match(rowOf(await next(({ state }) => state === 'running', before)), {
      version: '1.0.0',
      containment: { level: 'contained' },
    })
    // It is kept when it has run for a while.
    await sh('until ls /var/lib/patchbay/last-good/lamp/*/package.json 2>/dev/null; do sleep 0.5; done')

    const from = client.heard.length
    await sh(`patchbay plugins add ${bad}`)
    const rolledBack = await next(
      ({ state, version, reason = '' }) => state === 'running' && version === '1.0.0' && /stands in/.test(reason),
      from,
    )
    t.match(rowOf(rolledBack), { reason: /2\.0\.0 failed .*no bulb.*1\.0\.0, which ran before, stands in/ })
    t.match(await client.ask('lamp:version'), { success: true, version: '1.0.0' })
    t.equal(await sh('systemctl is-active patchbay-plugin@lamp.service'), 'active')

    await sh('patchbay plugins remove lamp')
    await sh('while systemctl --quiet is-active patchbay-plugin@lamp.service; do sleep 0.5; done')
    t.equal(await sh('ls -d /var/lib/patchbay/confined/lamp /var/lib/patchbay/plugins/lamp 2>/dev/null | xargs'), '')
  },
)

void t.test('a crash ends nobody’s session, whatever the daemon dies of', async (t) => {
  for (const signal of ['KILL', 'SEGV']) {
    const pid = await show('MainPID')
    await survives(t, () => sh(`kill -${signal} ${pid}`))
    t.not(await show('MainPID'), pid)
    t.match(await sh('journalctl -u patchbay -o cat --no-pager'), `status=${{ KILL: 9, SEGV: 11 }[signal]}/${signal}`)
  }
})

void t.test('what takes more memory than the service may have is ended, and started again', async (t) => {
  await survives(t, async () => {
    await sh(`systemctl set-property --runtime patchbay MemoryMax=8M || true
      until journalctl -u patchbay -o cat --no-pager | grep -q "result 'oom-kill'"; do sleep 0.2; done
      systemctl set-property --runtime patchbay MemoryMax=512M`)
  })
  t.equal(await show('MemoryMax'), '536870912')
})

void t.test('told to stop it does, by itself and within 5 s, with clients and work in hand', async (t) => {
  await client.ask('module:subscribe', { module: 'storage' })
  client.socket.emit('storage:refresh')
  await survives(t, async () => {
    const seconds =
      Number(await sh('begun=$(date +%s%N); systemctl stop patchbay; echo $((($(date +%s%N) - begun) / 1000000))')) / 1000
    t.comment(`stopped within ${seconds} s`)
    // Ended by systemd it would not be.
    t.match([await show('Result'), await show('ExecMainCode'), await show('ExecMainStatus')], ['success', '1', '0'])
    await sh('systemctl start patchbay')
  })
})

void t.test('told to reboot the machine does; its client is answered before, and goes on after', async (t) => {
  const boot = 'cat /proc/sys/kernel/random/boot_id'
  const before = await sh(boot)
  await survives(t, async () => {
    t.match(await client.ask('system:reboot'), { success: true })
    await machine.rebooted()
  })
  t.not(await sh(boot), before)
  t.equal(await show('ActiveState'), 'active')
  // The session for sound is there again as well, with nobody logged in and no sound card.
  await client.ask('module:subscribe', { module: 'audio' })
  const { problem } = await client.now<AudioState>('audio:state', ({ problem }) => problem !== null)
  t.match(problem, { code: 'AUDIO_NO_OUTPUT', message: /no sound card/ })
})

void t.test('what was acknowledged to a writer is there after the power failed in the middle of writing', async (t) => {
  await sh('patchbay plugins enable areas')
  const token = await sh('patchbay token areas --role admin --subject power --lifetime 1d 2>/dev/null')
  const url = `http://127.0.0.1:${machine.ports.get(8080)}/areas/api/areas`
  const ask = (init: RequestInit = {}) =>
    fetch(url, {
      ...init,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(60_000),
    })
  const acknowledged: string[] = []
  const write = async (writer: number) => {
    for (let n = 0; ; ) {
      const id = `area_${writer}_${n}`
      const answer = await ask({ method: 'POST', body: JSON.stringify({ id, name: id }) }).catch(() => undefined)
      if (!answer) return
      if (answer.status === 429 || answer.status === 503) await delay(500)
      else if (answer.status === 201) acknowledged.push(`area_${writer}_${n++}`)
      else throw new Error(`${answer.status}: ${await answer.text()}`)
    }
  }
  const writing = Promise.all([1, 2, 3].map(write))
  const over = writing.then(() => 'nobody writes any more')
  while (acknowledged.length < 30) {
    const said = await Promise.race([over, delay(50)])
    if (said) throw new Error(`${said}, after ${acknowledged.length}`)
  }
  // What the machine had not yet written to its drive is lost with its memory.
  await machine.monitor('system_reset')
  await writing
  await machine.rebooted()
  await sh('until curl --fail --silent http://127.0.0.1:8080/healthz; do sleep 1; done')
  const isThere = async () => {
    const answer = await ask().catch(() => undefined)
    return answer?.status === 200
      ? ((await answer.json()) as { areas: Array<{ id: string }> }).areas.map(({ id }) => id)
      : undefined
  }
  let areas = await isThere()
  for (; !areas; areas = await isThere()) await delay(1000)
  t.same(
    acknowledged.filter((id) => !areas.includes(id)),
    [],
    `${acknowledged.length} were acknowledged`,
  )
})
