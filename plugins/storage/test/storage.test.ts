import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createReader } from '../driver/storage.ts'
import { DF, failing, layOut, printed, type Run, replay, run, type Tree, tree, without } from './machine.ts'

type Runs = Record<string, Run | Error | (() => Promise<Run>)>

/** What root's programs said on the lab machine: three NVMe drives, one SATA drive, a USB stick, a memory card. */
const asRoot = async (): Promise<Runs> => ({
  'nvme smart-log /dev/nvme0n1 -o json': await run('nvme-2.3/smart-log'),
  'nvme id-ctrl /dev/nvme0n1 -o json': await run('nvme-2.3/id-ctrl'),
  'nvme smart-log /dev/nvme1n1 -o json': await run('nvme-2.3/smart-log-nvme1n1'),
  'nvme id-ctrl /dev/nvme1n1 -o json': await run('nvme-2.3/id-ctrl-nvme1n1'),
  'nvme smart-log /dev/nvme2n1 -o json': await run('nvme-2.3/smart-log-warning-9'),
  'nvme id-ctrl /dev/nvme2n1 -o json': await run('nvme-2.3/id-ctrl-nvme2n1'),
  'smartctl -j -a /dev/sda': await run('smartctl-7.3/sata'),
  'smartctl -j -a /dev/sdb': await run('smartctl-7.3/usb-unknown-bridge'),
  [`${DF} / /boot/firmware /mnt/sd /mnt/two words /mnt/usb`]: await run('df-9.1/lab-machine'),
})
/** The same as seen by a service user. */
const asUser = async (): Promise<Runs> => {
  const denied = await run('nvme-2.3/smart-log-as-user')
  const runs = await asRoot()
  for (const line of Object.keys(runs)) if (line.startsWith('nvme ')) runs[line] = denied
  return { ...runs, 'smartctl -j -a /dev/sda': await run('smartctl-7.3/sata-as-user') }
}
const NVME = /nvme[012]|259:/
const read = async (t: Test, entries: Tree, runs: Runs) => createReader(replay(runs), await layOut(t, entries))()
const devices = (drives: readonly { device: string }[]) => drives.map(({ device }) => device)

void t.test('the system’s drive is the health, the others with health data are the drives', async (t) => {
  const reading = await read(t, await tree('lab-machine'), await asRoot())
  t.match(reading.health, {
    device: '/dev/nvme0n1',
    protocol: 'nvme',
    system: true,
    partial: false,
    model: 'QEMU NVMe Ctrl',
    serial: 'LAB0001',
    firmware: '7.2.22',
    size: 5_368_709_120,
    temperature: 50,
    verdict: 'good',
    partitions: [
      { device: '/dev/nvme0n1p1', mount: '/', filesystem: 'ext4', size: 5_193_236_480, used: 1_301_004_288, percent: 27 },
    ],
  })
  t.strictSame(devices(reading.drives), ['/dev/nvme1n1', '/dev/nvme2n1', '/dev/sda'], 'no USB stick, no memory card')
  const [, warned, sata] = reading.drives
  t.match(warned, { serial: 'LAB0003', criticalWarning: 9, verdict: 'failing', partitions: [] })
  t.match(sata, { protocol: 'ata', system: false, partial: false, criticalWarning: null, verdict: 'good' })
  t.match(reading.drives[0]?.partitions, [{ mount: '/mnt/two words' }])
  t.equal(reading.partitions?.length, 5)
  t.equal(reading.failure, null)
})

void t.test('the fields are those of StorageHealth and ours, with no internals', async (t) => {
  const { health } = await read(t, await tree('lab-machine'), await asRoot())
  t.strictSame(
    Object.keys(health ?? {}).sort(),
    (
      'availableSpare availableSpareThreshold criticalWarning dataUnitsRead dataUnitsWritten device errorLogEntries firmware ' +
      'mediaErrors model partial partitions percentageUsed powerOnHours protocol reason serial size system temperature ' +
      'unsafeShutdowns verdict'
    ).split(' '),
  )
})

void t.test('programs get the kernel’s names of whole drives and nothing else', async (t) => {
  const lab = await tree('lab-machine')
  for (const name of ['sd-x', 'nvme0n1 -o', 'nvme0c0n1', 'dm-7', 'sr0']) lab[`/sys/block/${name}`] = { dir: true }
  lab['/sys/block/sdc/size'] = '0\n'
  const exec = replay(await asRoot())
  await createReader(exec, await layOut(t, lab))()
  t.strictSame(exec.calls.sort(), Object.keys(await asRoot()).sort(), 'and an empty card reader is not asked')
})

void t.test('without permission the failure is coded, and what the kernel lets everybody know is told as partial', async (t) => {
  const { health, drives, partitions, failure } = await read(t, await tree('lab-machine'), await asUser())
  t.equal(health, null)
  t.match(failure, { code: 'STORAGE_PERMISSION', message: /\/dev\/nvme0n1/ })
  t.match(drives[0], {
    device: '/dev/nvme0n1',
    system: true,
    partial: true,
    model: 'QEMU NVMe Ctrl',
    serial: 'LAB0001',
    firmware: '7.2.22',
    size: 5_368_709_120,
    temperature: 50,
    percentageUsed: null,
    verdict: null,
    reason: /CAP_SYS_ADMIN/,
    partitions: [{ mount: '/' }],
  })
  t.match(drives[3], {
    device: '/dev/sda',
    partial: true,
    protocol: 'ata',
    model: 'QEMU HARDDISK',
    serial: 'LABSATA1',
    temperature: null,
  })
  t.equal(partitions?.length, 5)
})

void t.test('the temperature of a SATA drive comes from drivetemp where smartctl may not be asked', async (t) => {
  const lab = await tree('lab-machine')
  const [sda] = Object.keys(lab).filter((path) => path.endsWith('0:0:0:0/model'))
  lab[`${String(sda).replace('/model', '')}/hwmon/hwmon7/temp1_input`] = '33000\n'
  const { drives } = await read(t, lab, await asUser())
  t.equal(drives[3]?.temperature, 33)
})

void t.test('without nvme-cli the failure says what to install', async (t) => {
  const runs = Object.fromEntries(Object.entries(await asRoot()).filter(([line]) => !line.startsWith('nvme ')))
  const { health, drives, partitions, failure } = await read(t, await tree('lab-machine'), runs)
  t.match(failure, { code: 'STORAGE_TOOL_MISSING', message: /sudo apt install nvme-cli/ })
  t.match([health, drives[0]?.partial, partitions?.length], [null, true, 5])
})

void t.test('when only another drive fails, that drive is partial and the reading has no failure', async (t) => {
  const runs = { ...(await asRoot()), 'smartctl -j -a /dev/sda': failing('ENOENT') }
  const { health, drives, failure } = await read(t, await tree('lab-machine'), runs)
  t.match([health?.device, failure], ['/dev/nvme0n1', null])
  t.match(drives.at(-1), { device: '/dev/sda', partial: true, reason: /smartmontools/ })
})

void t.test('with a memory card alone there is no drive, and the partitions are told', async (t) => {
  const card = without(await tree('lab-machine'), /nvme[012]|259:|sd[ab]|8:\d|dm-|253:/)
  card['/proc/self/mountinfo'] = '37 1 179:1 / / rw,relatime - ext4 /dev/root rw\n'
  const df = { exitCode: 0, stdout: 'Filesystem\n/dev/root ext4 244292608 14336 1% /\n', stderr: '' }
  const reading = await read(t, card, { [`${DF} /`]: df })
  t.match(reading, {
    health: null,
    drives: [],
    partitions: [{ device: '/dev/root', mount: '/' }],
    failure: { code: 'STORAGE_NO_DRIVE' },
  })
})

void t.test('on a virtual machine whose disk has no health data likewise', async (t) => {
  const df = { exitCode: 0, stdout: 'Filesystem\n/dev/vda ext4 270553174016 27423395840 11% /\n', stderr: '' }
  const reading = await read(t, await tree('virtual-disk-machine'), { [`${DF} /`]: df })
  t.match(reading, {
    health: null,
    drives: [],
    partitions: [{ mount: '/' }],
    failure: { code: 'STORAGE_NO_DRIVE', message: /virtual disks/ },
  })
})

void t.test('a SATA drive alone is told in full, and the failure says where', async (t) => {
  const sata = without(await tree('lab-machine'), NVME)
  const { health, drives, failure } = await read(t, sata, {
    ...(await asRoot()),
    'smartctl -j -a /dev/sda': await printed('smartctl-7.0-samsung-860-evo'),
    [`${DF} /boot/firmware /mnt/sd /mnt/two words /mnt/usb`]: await run('df-9.1/lab-machine'),
  })
  t.equal(health, null)
  t.match(drives, [{ device: '/dev/sda', partial: false, percentageUsed: 19, verdict: 'good' }])
  t.match(failure, { code: 'STORAGE_NO_DRIVE', message: /\/dev\/sda tells is in storage:drives/ })
})

void t.test('an NVMe drive counts as the health when the system is on a card, behind USB too', async (t) => {
  const card = without(await tree('lab-machine'), NVME)
  card['/proc/self/mountinfo'] = '37 1 179:1 / / rw,relatime - ext4 /dev/root rw\n'
  const { health } = await read(t, card, {
    ...(await asRoot()),
    'smartctl -j -a /dev/sdb': await run('smartctl-7.3/nvme'),
    [`${DF} /`]: failing('ENOENT'),
  })
  t.match(health, { device: '/dev/sdb', protocol: 'nvme', system: false, temperature: 50 })
})

void t.test('a drive that leaves during the read is said to be gone, and no trace of it is told', async (t) => {
  const root = await layOut(t, await tree('lab-machine'))
  const gone = await run('nvme-2.3/smart-log-no-device')
  const leave = async () => {
    await rm(join(root, 'sys/block/nvme0n1'))
    return gone
  }
  const exec = replay({ ...(await asUser()), 'nvme smart-log /dev/nvme0n1 -o json': leave })
  const { health, drives, partitions, failure } = await createReader(exec, root)()
  t.match([health, failure], [null, { code: 'STORAGE_DRIVE_GONE', message: '/dev/nvme0n1 was removed while it was read.' }])
  t.notOk(devices(drives).includes('/dev/nvme0n1'))
  t.equal(partitions?.length, 5)
})

void t.test('a failure of df is the reading’s when the drives were read', async (t) => {
  const runs = await asRoot()
  for (const line of Object.keys(runs)) if (line.startsWith('df ')) delete runs[line]
  const { health, partitions, failure } = await read(t, await tree('lab-machine'), runs)
  t.match([health?.device, partitions, failure], ['/dev/nvme0n1', null, { code: 'STORAGE_TOOL_MISSING', message: /df/ }])
})

void t.test('reads that come while one runs are that one; the next is a new one', async (t) => {
  const exec = replay(await asRoot())
  const reader = createReader(exec, await layOut(t, await tree('lab-machine')))
  const [first, second] = await Promise.all([reader(), reader()])
  t.equal(first, second)
  const once = exec.calls.length
  t.not(await reader(), first)
  t.equal(exec.calls.length, 2 * once)
})

void t.test('a reading that broke does not stand in the way of the next', async (t) => {
  const root = t.testdir()
  const reader = createReader(replay({}), root)
  await t.rejects(reader(), { code: 'ENOENT' }, 'no mountinfo')
  await t.rejects(reader(), { code: 'ENOENT' })
})
