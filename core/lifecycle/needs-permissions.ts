import type { Finding } from '../plugin/capabilities.ts'
import type { Needs } from '../plugin/contract.ts'
import type { SystemBus } from '../process/dbus.ts'
import { groupOf, thisUser } from './needs-user.ts'

export type PermissionBus = Pick<SystemBus, 'call' | 'uniqueName' | 'watchName'>

const polkit = 'org.freedesktop.PolicyKit1'
const askMs = 3000

/** Whether the user of this process may do what a plugin's commands will ask of others. None of it keeps the plugin from running. */
export async function checkPermissions({ polkit = {}, groups = {} }: Needs, bus: PermissionBus): Promise<Finding[]> {
  const [actions, memberships] = await Promise.all([
    checkActions(polkit, bus),
    Promise.all(Object.entries(groups).map(([name, purpose]) => checkGroup(name, purpose))),
  ])
  return [...actions, ...memberships]
}

async function checkActions(actions: Readonly<Record<string, string>>, bus: PermissionBus): Promise<Finding[]> {
  if (Object.keys(actions).length === 0) return []
  // Keeps the connection, and with it the name that polkit is asked about.
  const release = bus.watchName(polkit, () => undefined)
  try {
    return await Promise.all(Object.entries(actions).map(([action, purpose]) => checkAction(action, purpose, bus)))
  } finally {
    release()
  }
}

/** Asks polkit about our own connection to the bus. Nobody is at the machine, so what it would ask a password for is a no. */
async function checkAction(action: string, purpose: string, bus: PermissionBus): Promise<Finding> {
  const finding = { kind: 'polkit', name: action, optional: true } as const
  const { name } = await thisUser()
  try {
    const subject = ['system-bus-name', { name: await bus.uniqueName() }]
    const [answer] = await bus.call({
      service: polkit,
      path: '/org/freedesktop/PolicyKit1/Authority',
      interface: `${polkit}.Authority`,
      method: 'CheckAuthorization',
      signature: '(sa{sv})sa{ss}us',
      args: [subject, action, {}, 0, ''],
      timeoutMs: askMs,
    })
    const [ok] = answer as [boolean]
    if (ok) return { ...finding, ok, sentence: `polkit permits ${action} to the user ${name}.` }
    const sentence = `polkit does not permit ${action} to the user ${name}. It is for: ${purpose}`
    return { ...finding, ok: false, sentence, ...ruleFor(action, name) }
  } catch (error) {
    const { dbusName = '', message } = error as Error & { dbusName?: string }
    if (dbusName.startsWith(`${polkit}.`))
      return { ...finding, ok: false, sentence: `polkit cannot tell about ${action}: ${message}` }
    const isAbsent = /\.(ServiceUnknown|NameHasNoOwner)$/.test(dbusName)
    const sentence = `Whether ${action} is permitted is not known: ${isAbsent ? 'polkit does not run' : message}.`
    return { ...finding, ok: false, sentence, mend: `sudo apt-get install ${isAbsent ? 'polkitd' : 'dbus polkitd'}` }
  }
}

/** A rule of its own for one action and one user; polkit takes it in at once. */
function ruleFor(action: string, user: string): Pick<Finding, 'mend'> {
  if (user.startsWith('#')) return {}
  const rule = `polkit.addRule(function (action, subject) { if (action.id == "${action}" && subject.user == "${user}") return polkit.Result.YES })`
  return { mend: `echo '${rule}' | sudo tee /etc/polkit-1/rules.d/50-patchbay-${action}.rules` }
}

async function checkGroup(name: string, purpose: string): Promise<Finding> {
  const finding = { kind: 'group', name, optional: true } as const
  const [user, group] = await Promise.all([thisUser(), groupOf(name)])
  if (!group) return { ...finding, ok: false, sentence: `There is no group ${name} on this machine. It is for: ${purpose}` }
  // Root needs no group.
  if (user.uid === 0 || user.gids.includes(group.gid))
    return { ...finding, ok: true, sentence: `The user ${user.name} has the rights of the group ${name}.` }
  const sentence = `The user ${user.name} is not in the group ${name}. It is for: ${purpose}`
  return { ...finding, ok: false, sentence, mend: `sudo usermod -aG ${name} ${user.name}${user.thenRestart}` }
}
