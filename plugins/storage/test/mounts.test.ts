import t, { type Test } from 'tap'
import { readMounts } from '../driver/mounts.ts'
import { layOut, tree } from './machine.ts'

/** The lab machine with more mounts. */
async function mounted(t: Test, ...lines: string[]) {
  const lab = await tree('lab-machine')
  const root = await layOut(t, { ...lab, '/proc/self/mountinfo': `${String(lab['/proc/self/mountinfo'])}${lines.join('\n')}\n` })
  return new Map((await readMounts(root)).map(({ target, drives }) => [target, drives]))
}

void t.test('each file system is told once, with the drives below its partitions and volumes', async (t) => {
  t.strictSame(
    [...(await mounted(t))],
    [
      ['/', ['nvme0n1']],
      ['/boot/firmware', ['sda']],
      ['/mnt/sd', ['mmcblk0']],
      ['/mnt/two words', ['nvme1n1']],
      ['/mnt/usb', ['sdb']],
    ],
    'no bind mounts, overlays, loop devices, memory or network file systems; LVM on LUKS is followed to its drive',
  )
})

void t.test('thirty container mounts of one file system are one', async (t) => {
  const binds = Array.from({ length: 30 }, (_, i) => `${100 + i} 27 259:2 /var/c${i} /c${i} rw - ext4 /dev/nvme0n1p1 rw`)
  t.equal((await mounted(t, ...binds)).size, 5)
})

void t.test('a whole file system counts before a shorter path to a part of it', async (t) => {
  const mounts = await mounted(t, '90 27 8:1 /x /f rw - vfat /dev/sda1 rw')
  t.ok(mounts.has('/boot/firmware'))
  t.notOk(mounts.has('/f'))
})

void t.test('what is mounted over another hides it', async (t) => {
  const mounts = await mounted(t, '90 27 8:1 / /mnt/usb rw - vfat /dev/sda1 rw')
  t.strictSame(mounts.get('/mnt/usb'), ['sda'])
  t.notOk(mounts.has('/boot/firmware'), 'the shorter path to the same file system is taken')
})

void t.test('btrfs, which has a device number of its own, is found by its source, also in a volume', async (t) => {
  const mounts = await mounted(
    t,
    '90 27 0:77 /@ /b rw - btrfs /dev/sda1 rw',
    '91 27 0:78 / /v rw - btrfs /dev/mapper/data-films rw',
    '92 27 0:79 / /n rw - btrfs /dev/mapper/gone rw',
    '93 27 0:80 / /s rw - fuse.sshfs me@host:/ rw',
  )
  t.strictSame([mounts.get('/b'), mounts.get('/v')], [['sda'], ['nvme1n1']])
  t.notOk(mounts.has('/n') || mounts.has('/s'))
})

void t.test('escapes are undone and lines that are no mounts are passed over', async (t) => {
  const mounts = await mounted(t, '90 27 8:16 / /a\\040b\\134c\\011d\\012e rw - ext4 /dev/sdb rw', 'nonsense', '1 2 3', '')
  t.strictSame(mounts.get('/mnt/usb'), ['sdb'], 'the shorter path')
  const hidden = await mounted(t, '90 27 8:17 / /a\\040b\\134c\\011d rw - btrfs /dev/sdb rw')
  t.strictSame(hidden.get('/a b\\c\td'), ['sdb'])
})
