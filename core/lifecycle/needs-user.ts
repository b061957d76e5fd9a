import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import type { ThisUser } from '../plugin/host-control.ts'

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

/** The name of a group by its number; undefined if `/etc/group` does not have it. */
export async function groupName(gid: number): Promise<string | undefined> {
  const lines = (await readFile('/etc/group', 'utf8').catch(() => '')).split('\n')
  return lines.map((line) => line.split(':')).find(([, , number]) => Number(number) === gid)?.[0]
}
