import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'

/** The user that this process runs as, for the commands that give it more rights. */
export interface ThisUser {
  readonly uid: number
  readonly name: string
  /** Also the process's own: a group that was given to the user later counts from the next start. */
  readonly gids: readonly number[]
  /** Behind a command that takes effect with the next start; empty if only the person knows how this process was started. */
  readonly thenRestart: string
}

export async function thisUser(): Promise<ThisUser> {
  const uid = process.getuid?.() ?? 0
  const gids = [...new Set([process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])])]
  const cgroup = await readFile('/proc/self/cgroup', 'utf8').catch(() => '')
  const [, unit] = /\/system\.slice\/([\w@-]+\.service)$/m.exec(cgroup) ?? []
  return { uid, name: nameOf(uid), gids, thenRestart: unit ? ` && sudo systemctl restart ${unit}` : '' }
}

/** A user without an entry, as in some containers, is known by number; so is one whose name a shell might misread. */
function nameOf(uid: number): string {
  try {
    const { username } = userInfo()
    return /^[a-z_][\w.-]*$/i.test(username) ? username : `#${uid}`
  } catch {
    return `#${uid}`
  }
}

/** The name of a group by its number, or its number by name; undefined if `/etc/group` does not have it. */
export async function groupOf(wanted: number | string): Promise<{ name: string; gid: number } | undefined> {
  const lines = (await readFile('/etc/group', 'utf8').catch(() => '')).split('\n')
  const groups = lines.map((line) => line.split(':')).map(([name = '', , gid]) => ({ name, gid: Number(gid) }))
  return groups.find(({ name, gid }) => (typeof wanted === 'number' ? gid === wanted : name === wanted))
}
