import { execFile } from 'node:child_process'
import { statfs } from 'node:fs/promises'
import t from 'tap'
import { readMounts } from '../driver/mounts.ts'
import { readPartitions } from '../driver/partitions.ts'
import type { Exec } from '../driver/tool.ts'
import { DF, failing, layOut, replay, run, tree } from './machine.ts'

const at = (...targets: string[]) => targets.map((target) => ({ target, drives: ['sda'] }))
const row = (line: string) => ({ exitCode: 0, stdout: `Filesystem Type 1B-blocks Used Use% Mounted on\n${line}\n`, stderr: '' })

/** Programs of this machine. */
const real: Exec = {
  run: (program, args) =>
    new Promise((resolve, reject) => {
      execFile(program, args, { env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' } }, (error, stdout, stderr) => {
        if (error && typeof error.code === 'string') reject(error)
        else resolve({ exitCode: Number(error?.code ?? 0), stdout, stderr })
      })
    }),
}

void t.test('a captured answer is read, mount points with spaces too', async (t) => {
  const mounts = await readMounts(await layOut(t, await tree('lab-machine')))
  const exec = replay({ [`${DF} / /boot/firmware /mnt/sd /mnt/two words /mnt/usb`]: await run('df-9.1/lab-machine') })
  const { found, failure } = await readPartitions(exec, mounts)
  t.equal(failure, null)
  t.strictSame(found.get('/mnt/two words'), {
    device: '/dev/mapper/data-films',
    mount: '/mnt/two words',
    filesystem: 'ext4',
    size: 57_381_888,
    used: 20_986_880,
    percent: 40,
  })
  t.equal(found.size, 5)
})

void t.test('the real df tells of the real root what the kernel does', async (t) => {
  const { found } = await readPartitions(real, at('/'))
  const { bsize, blocks } = await statfs('/')
  t.equal(found.get('/')?.size, bsize * blocks)
})

void t.test('a mount point cannot pass for an option', async (t) => {
  const { found, failure } = await readPartitions(real, at('/', '--help'))
  t.strictSame([...found.keys()], ['/'])
  t.match(failure, { code: 'STORAGE_READ_FAILED', message: /--help/ })
})

void t.test('with nothing mounted on drives no program is started', async (t) => {
  const exec = replay({})
  t.strictSame([(await readPartitions(exec, [])).found.size, exec.calls], [0, []])
})

void t.test('when df hangs each file system is asked alone, and those that answer are told', async (t) => {
  const exec = replay({
    [`${DF} / /mnt/dead`]: failing('ETIMEDOUT'),
    [`${DF} /`]: row('/dev/sda1 ext4 100 27 28% /'),
    [`${DF} /mnt/dead`]: failing('ETIMEDOUT'),
  })
  const { found, failure } = await readPartitions(exec, at('/', '/mnt/dead'))
  t.strictSame([...found.keys()], ['/'])
  t.match(failure, { code: 'STORAGE_READ_FAILED', message: /df did not answer within 2 s/ })
})

void t.test('one that left between the look at the mounts and df is said, the others are told', async (t) => {
  const missing = await run('df-9.1/one-missing')
  const exec = replay({ [`${DF} / /nowhere`]: missing, [`${DF} /`]: missing, [`${DF} /nowhere`]: { ...missing, stdout: '' } })
  const { found, failure } = await readPartitions(exec, at('/', '/nowhere'))
  t.strictSame([...found.keys()], ['/'])
  t.match(failure, { code: 'STORAGE_READ_FAILED', message: /nowhere/ })
})

void t.test('rows without figures, and mount points as df prints them, are understood', async (t) => {
  const odd = '/mnt/a\nb'
  const { found, failure } = await readPartitions(replay({ [`${DF} ${odd}`]: row('/dev/sda1 vfat 100 1 1% /mnt/a?b') }), at(odd))
  t.strictSame([[...found.keys()], failure], [['/mnt/a?b'], null])
  const none = await readPartitions(replay({ [`${DF} /x`]: row('/dev/sda1 vfat - - - /x') }), at('/x'))
  t.match(none, { found: new Map(), failure: { code: 'STORAGE_READ_FAILED' } })
})

void t.test('without df the failure names it', async (t) => {
  t.match((await readPartitions(replay({}), at('/'))).failure, { code: 'STORAGE_TOOL_MISSING', message: /df is missing/ })
})
