import { readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import t from 'tap'
import { createDiskReader } from '../driver/disks.ts'
import { disks, openMachine } from './machine.ts'

void t.test('on a host with 45 container mounts each local file system is told once', async (t) => {
  const { root } = openMachine(t, 'container-host-by-documentation')
  t.same(
    (await createDiskReader(root, disks)()).map(({ filesystem, type, mount }) => [filesystem, type, mount]),
    [
      ['/dev/nvme0n1p3', 'btrfs', '/'],
      ['/dev/nvme0n1p1', 'vfat', '/boot/efi'],
      ['/dev/sdb1', 'xfs', '/mnt/big-disk-of-the-house'],
      ['/dev/sdc1', 'fuseblk', '/media/me/Windows'],
      ['/dev/sdd1', 'ext4', '/mnt/auto'],
    ],
  )
})

void t.test('a Pi tells its disks and neither its NAS nor its memory file systems', async (t) => {
  const { root } = openMachine(t, 'raspberry-pi-5-by-documentation')
  const asked: string[] = []
  const statfs = (path: string) => {
    asked.push(path)
    return disks.statfs(path)
  }
  const found = await createDiskReader(root, { ...disks, statfs })()
  t.same(
    found.map(({ mount }) => mount),
    ['/', '/boot/firmware', '/media/pi/My Disk'],
  )
  t.same(asked.sort(), ['/', '/boot/firmware', '/media/pi/My Disk'], 'a network share is not even asked')
})

void t.test('inside a container the overlay is its root, and single files are no disks', async (t) => {
  const { root } = openMachine(t, 'inside-container-by-documentation')
  const found = await createDiskReader(root, disks)()
  t.same(
    found.map(({ type, mount }) => [type, mount]),
    [
      ['overlay', '/'],
      ['xfs', '/srv/data'],
    ],
  )
})

void t.test('sizes are bytes and the percentage is the one of df', async (t) => {
  const { root } = openMachine(t, 'inside-container-by-documentation')
  const [disk] = await createDiskReader(root, disks)()
  t.match(disk, { size: 4_096_000, used: 600 * 4096, percent: 66.7 })
})

void t.test('a disk that does not answer is left out, is not asked twice, and comes back', async (t) => {
  const { root } = openMachine(t, 'raspberry-pi-5-by-documentation')
  let asked = 0
  let answer = () => {}
  const slow = new Promise<void>((resolve) => {
    answer = resolve
  })
  const read = createDiskReader(root, {
    ...disks,
    statfs: async (path) => {
      if (path !== '/boot/firmware') return disks.statfs(path)
      asked += 1
      await slow
      return disks.statfs(path)
    },
  })
  const others = ['/', '/media/pi/My Disk']
  const mounts = async () => (await read()).map(({ mount }) => mount)
  t.same(await mounts(), others)
  t.same(await mounts(), others)
  t.equal(asked, 1)
  answer()
  await slow
  await new Promise(setImmediate)
  t.same(await mounts(), ['/', '/boot/firmware', '/media/pi/My Disk'])
})

void t.test('a disk that is unplugged while being read, or tells no size, is left out', async (t) => {
  const { root } = openMachine(t, 'raspberry-pi-5-by-documentation')
  const read = createDiskReader(root, {
    ...disks,
    statfs: async (path) => {
      if (path.startsWith('/media')) throw new Error('ENOENT')
      if (path.startsWith('/boot')) return { bsize: 4096, blocks: 0, bfree: 0, bavail: 0 }
      return disks.statfs(path)
    },
  })
  t.same(
    (await read()).map(({ mount }) => mount),
    ['/'],
  )
})

void t.test('what is mounted later is seen', async (t) => {
  const vm = openMachine(t, 'debian12-microvm')
  const read = createDiskReader(vm.root, disks)
  t.equal((await read()).length, 1)
  vm.write('proc/self/mountinfo', `${vm.read('proc/self/mountinfo')}99 27 8:1 / /mnt rw - ext4 /dev/sda1 rw\ngarbage\n`)
  t.equal((await read()).length, 2)
})

void t.test('on the real machine the root has the figures of statfs', async (t) => {
  const before = await statfs('/')
  const [root] = await createDiskReader('')()
  t.equal(root?.mount, '/')
  t.equal(root?.size, before.blocks * before.bsize)
  t.ok(readFileSync('/proc/self/mountinfo', 'utf8').includes(root?.filesystem ?? '?'))
})
