import { createWriteStream } from 'node:fs'
import { type FileHandle, mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { Config } from '../../core/config/config.ts'
import { resolvePaths } from '../../core/config/paths.ts'
import { ConfigError } from '../../core/config/problem.ts'
import { Control } from '../../core/http/control.ts'
import { printable } from '../../core/log.ts'
import { keptName, loginNames, type Manifest, most, stagingPrefix } from './backup-format.ts'
import { becomeOwnerOf } from './become.ts'
import type { Installation } from './main.ts'
import { swap } from './swap.ts'
import { judge, unpack } from './unpack.ts'

/** Puts a backup in the place of configuration and data. Until all of it has been judged nothing is touched; what it replaces is kept. */
export async function restore(args: string[], { root, commandName }: Installation): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { 'without-sessions': { type: 'boolean' } },
  })
  const [file] = positionals
  if (file === undefined || positionals.length > 1)
    throw new Error(`Usage: ${commandName} restore <file.tar.gz, or -> [--without-sessions]`)
  const { configDir, dataDir } = resolvePaths(process.env, root)
  const withSessions = values['without-sessions'] !== true
  // Before it becomes another user, who may not read it.
  const archive = file === '-' ? undefined : await openArchive(resolve(file))

  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await becomeOwnerOf(dataDir)
  // As long as this holds the data directory no daemon can start there.
  const control = new Control()
  await control.open(dataDir, () => ({ pid: process.pid }))
  const staging = await mkdtemp(join(dataDir, stagingPrefix))
  try {
    const source = await spool(archive, join(staging, 'archive'))
    const manifest = await judge(source)
    const unpacked = join(staging, 'unpacked')
    await mkdir(join(unpacked, 'config'), { recursive: true, mode: 0o700 })
    await mkdir(join(unpacked, 'data'), { mode: 0o700 })
    await unpack(source, unpacked)
    await judgeConfig(join(unpacked, 'config'))
    if (!withSessions) for (const name of loginNames) await rm(join(unpacked, 'data', name), { recursive: true, force: true })
    const kept = join(keptName, new Date().toISOString().replace(/[:.]/g, '-'))
    await swap({ unpacked, configDir, dataDir, kept, keep: withSessions ? [] : loginNames })
    say(manifest, { configDir, dataDir, kept, withSessions, commandName })
  } finally {
    await rm(staging, { recursive: true, force: true })
    control.close()
  }
}

function say(
  { version, host, time }: Manifest,
  at: { configDir: string; dataDir: string; kept: string; withSessions: boolean; commandName: string },
): void {
  const { configDir, dataDir, kept, withSessions, commandName } = at
  const logins = withSessions
    ? `Sessions and tokens of then are valid again, also such as were ended since. To end one: ${commandName} sessions revoke <id>. To leave them as they are here: --without-sessions.`
    : 'Sessions and tokens are left as they were here.'
  process.stdout.write(
    `Restored from a backup of ${printable(host)}, ${printable(time)}, Patchbay ${printable(version)}: ${configDir} and ${dataDir}.\n${logins}\n` +
      `What was here before lies in ${join(dataDir, kept)}; remove it when all is well.\n`,
  )
}

async function openArchive(path: string): Promise<FileHandle> {
  return open(path).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${path} cannot be read (${error.code}). To let your shell read it: patchbay restore - < ${path}`)
  })
}

/** A copy, since it is read twice: nobody can change it in between, and standard input can be read once only. */
async function spool(archive: FileHandle | undefined, path: string): Promise<string> {
  let bytes = 0
  const bounded = async function* (source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      bytes += chunk.length
      if (bytes > most.bytes) throw new Error('This is larger than 1 GiB, and so no backup. Nothing was changed.')
      yield chunk
    }
  }
  await pipeline(archive?.createReadStream() ?? process.stdin, bounded, createWriteStream(path, { flags: 'wx', mode: 0o600 }))
  return path
}

/** By the rules that the daemon itself has. */
async function judgeConfig(directory: string): Promise<void> {
  try {
    const config = await Config.open({ configDir: directory, env: {} })
    await config.close()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new Error(
      `The configuration in this backup is not valid. Nothing was changed.\n${error.message.replaceAll(`${directory}/`, '')}`,
    )
  }
}
