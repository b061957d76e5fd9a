import { lstat, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { idPattern } from '../../../core/lifecycle/contract-check.ts'
import { clip } from '../../../core/lifecycle/problem.ts'
import { printable } from '../../../core/log.ts'
import type { Installation } from '../main.ts'
import { usage } from '../plugins.ts'
import { readDisk } from '../without-daemon.ts'
import { enterDataDir, forgetConsent, openConfig } from './install.ts'
import { inWorkshop, remove as removeTree } from './workshop.ts'

/** Where a plugin's store lies, and where the service lays out what a plugin's process sees. */
const [storeName, laidOutName] = ['store', 'confined']

/** Takes a plugin away that lies in the data directory, installed or dropped in; what it kept only if that is asked for. */
export async function remove(args: string[], installation: Installation): Promise<void> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { data: { type: 'boolean' } } })
  const [id] = positionals
  if (id === undefined || positionals.length > 1) throw usage('remove <id> [--data]', installation)
  const dataDir = await enterDataDir(installation)
  const data = idPattern.test(id) ? join(dataDir, storeName, id) : undefined
  const hasData = data !== undefined && (await lstat(data).then(Boolean, () => false))
  await inWorkshop(dataDir, async ({ pluginsDir, work, previous }) => {
    const { found } = await readDisk(installation)
    const named = found.filter((each) => each.id === id)
    const own = named.filter(({ dir }) => dirname(dir) === pluginsDir)
    const it = own.find(({ dir }) => basename(dir) === id) ?? own[0]
    const [other] = named
    if (!it && other) {
      const where = other.builtin ? 'comes with Patchbay' : `lies in ${clip(dirname(other.dir))}, which Patchbay only reads`
      throw new Error(`${id} ${where}. To switch it off: ${installation.commandName} plugins disable ${id}`)
    }
    if (!it && !(hasData && values.data)) throw new Error(`There is no plugin ${printable(id)}.`)
    if (it) {
      // Nothing of this name is to start by what was said about this one.
      if (idPattern.test(id)) await forgetConsent(id, await openConfig(installation))
      await rename(it.dir, join(work, 'removed'))
      if (idPattern.test(id)) for (const copy of [previous(id), join(dataDir, laidOutName, id)]) await removeTree(copy)
    }
    if (hasData && values.data) await rename(data, join(work, 'data'))
  })
  const kept =
    hasData && !values.data
      ? ` What it kept stays in ${data}; to remove that too: ${installation.commandName} plugins remove ${id} --data`
      : ''
  process.stdout.write(`Removed ${printable(id)}${hasData && values.data ? ' and what it kept' : ''}.${kept}\n`)
}
