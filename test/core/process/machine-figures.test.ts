import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { machineFigures, serviceFigures } from '../../../core/process/machine-figures.ts'
import { temporary } from '../lifecycle/lab.ts'

void t.test('what a service costs is read from the accounts that the kernel keeps of it', async (t) => {
  const accounts = await temporary(t)
  await writeFile(join(accounts, 'memory.stat'), 'anon 1000\nfile 70000\nshmem 30\n')
  await writeFile(join(accounts, 'memory.current'), '80000\n')
  t.equal(serviceFigures(accounts), undefined, 'not while one of them is missing')
  await writeFile(join(accounts, 'cpu.stat'), 'usage_usec 2500000\nuser_usec 1\n')
  t.same(serviceFigures(accounts), { cpuS: 2.5, rss: 80_000, ownMemory: 1030 })
})

void t.test('what a process costs is read from the kernel, if it is there', (t) => {
  const { rss = 0, ownMemory = 0, ...rest } = machineFigures(process.pid) ?? {}
  t.match(rest, { pid: process.pid, cpuS: Number })
  t.ok(rss > ownMemory && ownMemory > 1e6)
  t.equal(machineFigures(undefined), undefined)
  t.end()
})
