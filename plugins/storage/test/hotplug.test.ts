import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createHelper } from '../driver/helper.ts'
import { watchDrives } from '../driver/hotplug.ts'
import { createReader } from '../driver/storage.ts'
import { layOut, replay, tree } from './machine.ts'

void t.test('a drive that comes or goes is told, once for all its entries; nothing else is', async (t) => {
  const root = t.testdir({ dev: { nvme0n1: '' } })
  const told = new EventTarget()
  let times = 0
  const stop = watchDrives(() => {
    times++
    told.dispatchEvent(new Event('change'))
  }, root)
  t.teardown(stop)
  const change = () => once(told, 'change')
  await writeFile(join(root, 'dev/ttyUSB0'), '')
  await writeFile(join(root, 'dev/nvme0n1'), 'what is in it has changed')
  for (const work of [() => writeFile(join(root, 'dev/sda'), ''), () => rm(join(root, 'dev/nvme0n1'))]) {
    const changed = change()
    for (const entry of ['nvme0', 'nvme0n1p1', 'sda1']) await writeFile(join(root, 'dev', entry), '')
    await work()
    await changed
  }
  t.equal(times, 2)
  t.throws(() => watchDrives(() => {}, join(root, 'missing')), { code: 'ENOENT' })
})

void t.test('who knows of a change gets a reading that began after it', async (t) => {
  const root = await layOut(t, await tree('lab-machine'))
  const exec = replay({})
  const helper = createHelper(root)
  const read = createReader(exec, root, helper)
  const [first, second, later] = await Promise.all([read(), read(), read('anew')])
  t.equal(first, second)
  t.not(first, later)
})
