import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { bootMachine } from './machine.ts'

t.setTimeout(600_000)
const machine = await bootMachine(t, { ports: [8080], hardware: true })

void t.test('a script runs inside, as root or as another user, and its exit code and output come back', async (t) => {
  t.same(await machine.run('id -un; exit 7'), { code: 7, output: 'root\n' })
  t.same(await machine.run('id -un; echo "$HOME"', { user: 'backup' }), { code: 0, output: 'backup\n/var/backups\n' })
  t.same(await machine.run('echo out; echo err >&2; false'), { code: 1, output: 'out\nerr\n' })
})

void t.test('output comes as it was, also if it looks like an answer or is long', async (t) => {
  const { output } = await machine.run(`printf 'up 1\\n\\t \\0 "\\303\\251" '; seq 200000`)
  t.equal(output.slice(0, 16), 'up 1\n\t \0 "é" 1\n2')
  t.ok(output.endsWith('\n199999\n200000\n'))
})

void t.test('scripts run side by side, and one that takes too long is ended with what it said in the error', async (t) => {
  const late = machine.run('echo started; sleep 1000; touch /run/late', { timeoutMs: 2000 })
  t.equal((await machine.run('echo meanwhile')).output, 'meanwhile\n')
  await t.rejects(late, /took longer than 2000 ms.*started/s)
  t.equal((await machine.run('pgrep -x sleep; ls /run/late 2>/dev/null')).output, '')
})

void t.test(
  'a daemon that a script leaves behind is to be reached by a port of 127.0.0.1, with the Node.js that runs this test',
  async (t) => {
    const server =
      "http.createServer((_, answer) => answer.end(process.version)).listen(8080, () => fs.writeFileSync('/run/listening', ''))"
    await machine.run(`node -e "${server}" & until [ -e /run/listening ]; do sleep 0.1; done`)
    const answer = await fetch(`http://127.0.0.1:${machine.ports.get(8080)}/`)
    t.equal(await answer.text(), process.version)
  },
)

void t.test('files and directories are put in as root has them', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'patchbay-put-'))
  t.teardown(() => rm(directory, { recursive: true }))
  await mkdir(join(directory, 'a b'))
  await writeFile(join(directory, 'a b', "it's"), 'content', { mode: 0o755 })
  await machine.put(directory, "/srv/it's there")
  await machine.put(join(directory, 'a b', "it's"), '/srv/new/file')
  const { output } = await machine.run(`cd /srv; cat "it's there/a b/it's" new/file; stat -c ' %U %a' "it's there/a b/it's"`)
  t.equal(output, 'contentcontent root 755\n')
  await t.rejects(machine.put(directory, '/proc/none'), /was not copied to \/proc\/none/)
})

void t.test('the hardware is plugged in', async (t) => {
  t.equal(
    (await machine.run('iw dev wlan0 info | grep -c managed; ip netns list | sort')).output,
    `1\n${[1, 2, 3, 4, 5].map((number) => `ap-wlan${number} (id: ${number - 1})\n`).join('')}`,
  )
  for (const adapter of ['hci0', 'hci1'])
    t.equal(
      (
        await machine.run(
          `until busctl get-property org.bluez /org/bluez/${adapter} org.bluez.Adapter1 Address; do sleep 0.5; done`,
          { timeoutMs: 240_000 },
        )
      ).code,
      0,
    )
  t.match((await machine.run('cat /proc/asound/cards')).output, /Loopback.*Dummy/s)
  t.match((await machine.run('v4l2-ctl -d /dev/video0 --info')).output, /vivid/)
  t.match(JSON.parse((await machine.run('nvme smart-log /dev/nvme0 -o json')).output), { temperature: 323, power_cycles: 0 })
})

void t.test('a drive is plugged in and pulled while the machine runs', async (t) => {
  t.equal(await machine.monitor('device_add nvme,id=second,serial=LAB0002,drive=second,bus=bay'), '')
  const appeared = await machine.run('until grep -q LAB0002 /sys/class/nvme/*/serial; do sleep 0.1; done; udevadm settle')
  t.equal(appeared.code, 0)
  t.match((await machine.run('lsblk --noheadings --nodeps -o NAME,SERIAL')).output, /nvme1n1 LAB0002/)
  t.equal(await machine.monitor('device_del second'), '')
  t.equal((await machine.run('while [ -e /sys/class/nvme/nvme1 ]; do sleep 0.1; done')).code, 0)
  t.match(await machine.monitor('device_add none'), /^Error: /)
})

void t.test('it reboots: what was written stays, what ran is gone, the hardware is back', async (t) => {
  await machine.run('echo stays >/root/file; sync')
  const boot = 'cat /proc/sys/kernel/random/boot_id'
  const before = (await machine.run(boot)).output
  t.equal((await machine.run('systemctl reboot')).code, 0)
  await machine.rebooted()
  t.not((await machine.run(boot)).output, before)
  t.equal((await machine.run('cat /root/file; ls /run/listening 2>/dev/null')).output, 'stays\n')
  t.match((await machine.run('ls /sys/class/bluetooth')).output, /hci1/)
  t.match(await machine.journal(), /lab-hardware\.service/)
})

void t.test('when it switches itself off, that is told, and so is asking it for anything', async (t) => {
  const asked = machine.run('systemctl poweroff; sleep 1000', { timeoutMs: 120_000 })
  await Promise.all([t.rejects(asked, /is off/), machine.poweredOff()])
  await t.rejects(machine.run('true'), /is off/)
})
