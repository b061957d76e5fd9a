import type { Finding } from '../plugin/capabilities.ts'
import type { Needs } from '../plugin/contract.ts'
import type { SystemBus } from '../process/dbus.ts'
import { within } from '../process/deadline.ts'
import { groupOf, joinCommand, thisUser } from './needs-user.ts'

export type PermissionBus = Pick<SystemBus, 'call' | 'isAvailable' | 'uniqueName' | 'watchName'>

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
    if (!(await bus.isAvailable(polkit))) return [unknown('polkit does not run', 'polkitd')]
    return await Promise.all(Object.entries(actions).map(([action, purpose]) => checkAction(action, purpose, bus)))
  } catch (error) {
    return [unknown((error as Error).message, 'dbus polkitd')]
  } finally {
    release()
  }
}

/** Asks polkit about our own connection to the bus. Nobody is at the machine, so what it would ask a password for is a no. */
async function checkAction(action: string, purpose: string, bus: PermissionBus): Promise<Finding> {
  const finding = { kind: 'polkit', name: action, optional: true } as const
  const { name, account } = await thisUser()
  try {
    // With a deadline, which also keeps a process alive that waits for nothing else.
    const ownName = await within(bus.uniqueName(), askMs, 'The system bus does not answer.')
    const subject = ['system-bus-name', { name: ownName }]
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
    return { ...finding, ok: false, sentence, ...ruleFor(action, account) }
  } catch (error) {
    const { dbusName = '', message } = error as Error & { dbusName?: string }
    // It does not know the action: the service that it belongs to is not installed.
    if (dbusName.startsWith(`${polkit}.`)) {
      const sentence = `polkit does not tell of ${action}: ${message}. It is for: ${purpose}`
      return { ...finding, ok: false, sentence, mend: `pkaction | grep -F ${action.split('.').slice(0, 3).join('.')}` }
    }
    const sentence = `Whether polkit permits ${action} is not known: ${message.replace(/\.$/, '')}.`
    return { ...finding, ok: false, sentence, mend: 'systemctl status polkit' }
  }
}

/** Said once, for all that it would be asked. */
function unknown(why: string, packages: string): Finding {
  const sentence = `What polkit permits is not known: ${why.replace(/\.$/, '')}.`
  return { kind: 'polkit', name: polkit, ok: false, optional: true, sentence, mend: `sudo apt-get install ${packages}` }
}

/** A rule of its own for one action and one user; polkit takes it in at once. */
function ruleFor(action: string, user: string | undefined): Pick<Finding, 'mend'> {
  if (!user) return {}
  const rule = `polkit.addRule(function (action, subject) { if (action.id == "${action}" && subject.user == "${user}") return polkit.Result.YES })`
  return { mend: `echo '${rule}' | sudo tee /etc/polkit-1/rules.d/50-patchbay-${action}.rules` }
}

async function checkGroup(name: string, purpose: string): Promise<Finding> {
  const finding = { kind: 'group', name, optional: true } as const
  const [user, group] = await Promise.all([thisUser(), groupOf(name)])
  if (!group) {
    // Made beforehand, it is the one that the service will use when it is installed.
    const { mend } = joinCommand(name, user)
    const sentence = `There is no group ${name} on this machine. It is for: ${purpose}`
    return { ...finding, ok: false, sentence, ...(mend && { mend: `sudo groupadd --system ${name} && ${mend}` }) }
  }
  // Root needs no group.
  if (user.uid === 0 || user.gids.includes(group.gid))
    return { ...finding, ok: true, sentence: `The user ${user.name} has the rights of the group ${name}.` }
  const sentence = `The user ${user.name} is not in the group ${name}. It is for: ${purpose}`
  return { ...finding, ok: false, sentence, ...joinCommand(name, user) }
}
