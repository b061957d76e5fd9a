import { chmod, copyFile, mkdir, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Copies a package to where a plugin's own user can read it, whatever the modes of the original. Nothing is done if it is there
 * already, with the same digest.
 */
export async function copyReadable(from: string, to: string, digest: string | undefined): Promise<void> {
  // The digest does not count what lies in node_modules.
  const { mtimeMs = 0 } = await stat(join(from, 'node_modules')).catch(() => ({ mtimeMs: 0 }))
  const [stamp, is] = [`${to}.stamp`, `${from}\n${digest}\n${mtimeMs}\n`]
  if (digest !== undefined && (await readFile(stamp, 'utf8').catch(() => '')) === is) return
  await rm(stamp, { force: true })
  await rm(to, { recursive: true, force: true })
  await copy(from, to)
  await writeFile(stamp, is)
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(to)
  // The umask of the daemon lets nobody in.
  await chmod(to, 0o755)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.name === '.git') continue
    if (entry.isDirectory()) await copy(source, target)
    // Where it leads is judged within the copy.
    else if (entry.isSymbolicLink()) await symlink(await readlink(source), target)
    else if (entry.isFile()) {
      await copyFile(source, target)
      await chmod(target, (await stat(source)).mode & 0o100 ? 0o755 : 0o644)
    }
  }
}
