import { readFile } from 'node:fs/promises'
import type { Finding } from '../../../core/plugin/capabilities.ts'
import type { Needs } from '../../../core/plugin/contract.ts'
import type { ThisUser } from '../../../core/plugin/host-control.ts'
import type { Examiner } from './diagnosis.ts'

const polkit = 'org.freedesktop.PolicyKit1'
const askMs = 3000

/** Whether the user of this process may do what a plugin's commands will ask of others. None of it keeps the plugin from running. */
export async function checkPermissions({ polkit = {}, groups = {} }: Needs, examiner: Examiner): Promise<Finding[]> {
  const [actions, memberships] = await Promise.all([
    checkActions(polkit, examiner),
    Promise.all(Object.entries(groups).map(([name, purpose]) => checkGroup(name, purpose, examiner.user))),
  ])
  return [...actions, ...memberships]
}

async function checkActions(actions: Readonly<Record<string, string>>, examiner: Examiner): Promise<Finding[]> {
  if (Object.keys(actions).length === 0) return []
  // Keeps the connection, and with it the name that polkit is asked about.
  const release = examiner.bus.watchName(polkit, () => undefined)
  try {
    return await Promise.all(Object.entries(actions).map(([action, purpose]) => checkAction(action, purpose, examiner)))
  } catch (error) {
    return [unknown(error as BusError)]
  } finally {
    release()
  }
}

type BusError = Error & { readonly dbusName?: string }

/**
 * Asks polkit about our own connection to the bus. Nobody is at the machine, so what it would ask a password for is a no. Rejects if
 * there is no polkit to ask.
 */
async function checkAction(action: string, purpose: string, { user, bus }: Examiner): Promise<Finding> {
  const finding = { kind: 'polkit', name: action, optional: true } as const
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
    if (ok) return { ...finding, ok, sentence: `polkit permits ${action} to the user ${user.name}.` }
    const sentence = `polkit does not permit ${action} to the user ${user.name}. It is for: ${purpose}`
    return { ...finding, ok: false, sentence, ...ruleFor(action, user.account) }
  } catch (error) {
    const { dbusName = '', message } = error as BusError
    if (isAbsent(dbusName)) throw error
    // It does not know the action: the service that it belongs to is not installed.
    if (dbusName.startsWith(`${polkit}.`)) {
      const sentence = `polkit does not tell of ${action}: ${message}. It is for: ${purpose}`
      return { ...finding, ok: false, sentence, mend: `pkaction | grep -F ${action.split('.').slice(0, 3).join('.')}` }
    }
    const sentence = `Whether polkit permits ${action} is not known: ${withoutDot(message)}.`
    return { ...finding, ok: false, sentence, mend: 'systemctl status polkit' }
  }
}

const isAbsent = (dbusName: string) => /\.(ServiceUnknown|Disconnected)$/.test(dbusName)
const withoutDot = (sentence: string) => sentence.replace(/\.$/, '')

/** Said once, for all that it would be asked. */
function unknown({ dbusName, message }: BusError): Finding {
  const hasBus = dbusName?.endsWith('.ServiceUnknown')
  const sentence = `What polkit permits is not known: ${hasBus ? 'polkit does not run' : withoutDot(message)}.`
  const mend = `sudo apt-get install ${hasBus ? 'polkitd' : 'dbus polkitd'}`
  return { kind: 'polkit', name: polkit, ok: false, optional: true, sentence, mend }
}

/** A rule of its own for one action and one user; polkit takes it in at once. */
function ruleFor(action: string, user: string | undefined): Pick<Finding, 'mend'> {
  if (!user) return {}
  const rule = `polkit.addRule(function (action, subject) { if (action.id == "${action}" && subject.user == "${user}") return polkit.Result.YES })`
  return { mend: `echo '${rule}' | sudo tee /etc/polkit-1/rules.d/50-patchbay-${action}.rules` }
}

async function checkGroup(name: string, purpose: string, user: ThisUser): Promise<Finding> {
  const finding = { kind: 'group', name, optional: true } as const
  const gid = await groupId(name)
  const { account, unit } = user
  // Groups count from the next start on.
  const join = account && `sudo usermod -aG ${name} ${account}${unit ? ` && sudo systemctl restart ${unit}` : ''}`
  if (gid === undefined) {
    // Made beforehand, it is the one that the service will use when it is installed.
    const sentence = `There is no group ${name} on this machine. It is for: ${purpose}`
    return { ...finding, ok: false, sentence, ...(join && { mend: `sudo groupadd --system ${name} && ${join}` }) }
  }
  // Root needs no group.
  if (user.uid === 0 || user.gids.includes(gid))
    return { ...finding, ok: true, sentence: `The user ${user.name} has the rights of the group ${name}.` }
  const sentence = `The user ${user.name} is not in the group ${name}. It is for: ${purpose}`
  return { ...finding, ok: false, sentence, ...(join && { mend: join }) }
}

/** Of a group in `/etc/group`. */
async function groupId(name: string): Promise<number | undefined> {
  const lines = (await readFile('/etc/group', 'utf8').catch(() => '')).split('\n')
  const [, , gid] = lines.map((line) => line.split(':')).find(([group]) => group === name) ?? []
  return gid === undefined ? undefined : Number(gid)
}
