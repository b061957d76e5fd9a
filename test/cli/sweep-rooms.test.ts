import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chown, mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { mark, roomSuffix } from '../../core/process/sweep.ts'
import { sweepRooms } from '../../scripts/cli/sweep-rooms.ts'

const longAgo = new Date(Date.now() - 3_600_000)

void t.test('what a run has left that ended with its daemon is removed, and nothing else', async (t) => {
  const directory = t.testdir({ kept: { file: '' } })
  const leave = async (name: string, date = longAgo) => {
    await mkdir(join(directory, name))
    await writeFile(join(directory, name, 'policy.json'), '')
    await utimes(join(directory, name), date, date)
    return name
  }
  const [live, dead, young] = [randomUUID(), randomUUID(), randomUUID()]
  const child = spawn('sleep', ['600'], { env: { ...process.env, [mark]: live } })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child, 'spawn')
  const gone = await leave(`patchbay-lamp-2${roomSuffix(dead)}`)
  const stays = await Promise.all([
    leave(`patchbay-lamp${roomSuffix(live)}`),
    leave(`patchbay-lamp${roomSuffix(young)}`, new Date()),
    leave(`patchbay-lamp-1234-${dead}`),
    leave('patchbay-lamp-abcdef'),
    leave(`lamp${roomSuffix(dead)}`),
  ])
  if (process.getuid?.() === 0) {
    const foreign = await leave(`patchbay-other${roomSuffix(randomUUID())}`)
    await chown(join(directory, foreign), 65_534, 65_534)
    stays.push(foreign)
  }
  const link = `patchbay-link${roomSuffix(randomUUID())}`
  await symlink(join(directory, 'kept'), join(directory, link))
  await sweepRooms(directory)
  const left = await readdir(directory)
  t.notOk(left.includes(gone))
  for (const name of stays) t.ok(left.includes(name), name)
  t.same(await readdir(join(directory, 'kept')), ['file'], 'no link is followed')
})
