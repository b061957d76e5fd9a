import { access, constants, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Finding } from '../plugin/capabilities.ts'
import { sessionDirectory } from '../process/exec.ts'
import { matches } from '../process/paths.ts'
import { groupName, joinCommand, thisUser } from './needs-user.ts'

/** Looks for a device of this name that this user may read. */
export async function checkDevice(name: string): Promise<Finding> {
  const finding = { kind: 'device', name, optional: false } as const
  const entries = await readdir(dirname(name)).catch(() => [])
  const files = entries.filter((entry) => matches(name, entry)).map((entry) => join(dirname(name), entry))
  const [first] = files
  if (first === undefined) return { ...finding, ok: false, sentence: `There is no device ${name}.` }
  for (const file of files) if (await isReadable(file)) return { ...finding, ok: true, sentence: `There is a device ${name}.` }
  return { ...finding, ok: false, ...(await whoMay(first)) }
}

const isReadable = (file: string) =>
  access(file, constants.R_OK).then(
    () => true,
    () => false,
  )

/** Who may read a device that this user may not, and the command that lets this user: into its group, if that has the right. */
async function whoMay(file: string): Promise<Pick<Finding, 'sentence' | 'mend'>> {
  const user = await thisUser()
  const { name } = user
  const stats = await stat(file).catch(() => undefined)
  if (!stats) return { sentence: `The device ${file} may not be looked at by the user ${name}.` }
  const group = await groupName(stats.gid)
  const mode = (stats.mode & 0o777).toString(8).padStart(3, '0')
  const owner = `user number ${stats.uid}, group ${group ?? stats.gid}, mode ${mode}`
  const sentence = `The device ${file} may not be read by the user ${name} (it belongs to ${owner}).`
  // The group of root is no way to a device: who is in it reads much else.
  if (!group || stats.gid === 0 || (stats.mode & constants.S_IRGRP) === 0) return { sentence }
  return { sentence, ...joinCommand(group, user) }
}

/** Looks for the user's session: its directory is there and belongs to this user. */
export async function checkSession(): Promise<Finding> {
  const { uid, name, account } = await thisUser()
  const directory = sessionDirectory()
  const finding = { kind: 'session', name, optional: false } as const
  const stats = await stat(directory).catch(() => undefined)
  if (stats?.isDirectory() && stats.uid === uid)
    return { ...finding, ok: true, sentence: `The user ${name} has a session (${directory}).` }
  const what = stats ? `${directory} belongs to another` : `there is no ${directory}`
  const sentence = `The user ${name} has no session: ${what}.`
  return { ...finding, ok: false, sentence, ...(account && { mend: `sudo loginctl enable-linger ${account}` }) }
}
