import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'

/** The user that this process runs as, for the commands that give it more rights. */
export interface ThisUser {
  readonly uid: number
  /** For people. */
  readonly name: string
  /** For commands; undefined for a user without an entry (some containers), or with a name that a shell might misread. */
  readonly account: string | undefined
  /** The process's own: a group that the user was given meanwhile counts from the next start. */
  readonly gids: readonly number[]
  /** The systemd service that this process is; undefined if a person started it. */
  readonly unit: string | undefined
}

export async function thisUser(): Promise<ThisUser> {
  const uid = process.getuid?.() ?? 0
  const gids = [...new Set([process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])])]
  const cgroup = await readFile('/proc/self/cgroup', 'utf8').catch(() => '')
  const [, unit] = /\/system\.slice\/([\w@-]+\.service)$/m.exec(cgroup) ?? []
  const account = accountName()
  return { uid, name: account ?? `number ${uid}`, account, gids, unit }
}

function accountName(): string | undefined {
  try {
    const { username } = userInfo()
    return /^[a-z_][\w.-]*$/i.test(username) ? username : undefined
  } catch {
    return undefined // there is no entry for it
  }
}

/** The command that puts a user into a group, and starts the daemon anew where that is known to be a service: groups count from then on. */
export function joinCommand(group: string, { account, unit }: ThisUser): { readonly mend?: string } {
  if (!account) return {}
  return { mend: `sudo usermod -aG ${group} ${account}${unit ? ` && sudo systemctl restart ${unit}` : ''}` }
}

/** A group by its number or its name; undefined if `/etc/group` does not have it. */
export async function groupOf(wanted: number | string): Promise<{ name: string; gid: number } | undefined> {
  const lines = (await readFile('/etc/group', 'utf8').catch(() => '')).split('\n')
  const groups = lines.map((line) => line.split(':')).map(([name = '', , gid]) => ({ name, gid: Number(gid) }))
  return groups.find(({ name, gid }) => (typeof wanted === 'number' ? gid === wanted : name === wanted))
}
