import type { Session, Sessions } from '../auth/sessions.ts'
import type { Config } from '../config/config.ts'
import type { AppFiles } from '../http/app-files.ts'
import type { Listener } from '../http/listener.ts'
import type { HostControl, HostFacts, SessionInfo } from '../plugin/host-control.ts'
import { coreContract } from '../wire/core-contract.ts'
import type { Hub } from '../wire/hub.ts'
import type { Observers } from '../wire/observers.ts'
import { asksFor, describeGrant, ungranted } from './grants.ts'
import { checkNeeds, type Surroundings } from './needs.ts'
import { thisUser } from './needs-user.ts'
import type { Supervisor } from './supervisor.ts'

export interface HostControlParts {
  readonly config: Config
  readonly supervisor: Supervisor
  readonly sessions: Sessions
  readonly hub: Hub
  readonly observers: Observers
  readonly bus: Surroundings['bus']
  readonly facts: () => HostFacts
  readonly listener: () => Pick<Listener, 'url' | 'onChange'>
  readonly app: Pick<AppFiles, 'serve'>
  /** For files of the modules that come with Patchbay. */
  readonly directory: string
}

/** What the modules that come with Patchbay may do with the host. */
export function createHostControl(parts: HostControlParts): HostControl {
  const { config, supervisor, sessions, hub, observers, bus, facts, listener, app, directory } = parts
  const info = (session: Session): SessionInfo => ({
    id: session.id,
    userId: session.userId,
    name: [session.user.firstName, session.user.lastName].filter(Boolean).join(' '),
    createdAt: session.createdAt,
    lastUsedAt: session.lastUsedAt,
    expiresAt: sessions.expiresAt(session),
    clients: [...hub.clients.values()].filter((client) => client.session === session).length,
    refusedTokens: [...session.refusedTokens],
  })
  return {
    directory,
    plugins: () => supervisor.statuses(),
    configProblems: () => [...config.problems],
    onChange(listen) {
      const releases = [
        supervisor.onChange(listen),
        listener().onChange(listen),
        config.onChange((change) => change === 'problems' && listen()),
      ]
      return () => {
        for (const release of releases) release()
      }
    },
    listening: () => ({ url: listener().url, ...(config.host.publicUrl && { publicUrl: config.host.publicUrl }) }),
    async setEnabled(id, enabled) {
      await config.update('plugins', ['plugins', id, 'enabled'], enabled)
      await supervisor.reconcile()
    },
    async grant(id, grants) {
      const { builtin, contract } = supervisor.unit(id)?.found ?? {}
      if (builtin || !contract) return []
      const given = grants ?? config.plugins.plugins[id]?.grants ?? []
      const missing = ungranted(contract, given)
      // Only what the contract asks for: what was agreed to beyond it would be granted to its next version unseen.
      if (grants && missing.length === 0) await config.update('plugins', ['plugins', id, 'grants'], asksFor(contract))
      return missing.map(describeGrant)
    },
    restart: (id) => supervisor.restart(id),
    sessions: (userId) => sessions.list(userId).map(info),
    revoke: (id, userId) => sessions.revoke(id, userId),
    contracts: () =>
      supervisor.units().flatMap(({ found: { contract, panel }, status }) =>
        // Nothing of a plugin whose contract cannot be read.
        contract ? [{ ...status, policy: contract.policy ?? 'patchbay', contract, ...(panel && { panel }) }] : [],
      ),
    coreContract: () => coreContract,
    patients: () =>
      supervisor.units().map((unit) => {
        const { status } = unit
        const needs = (!status.simulated && unit.found.contract?.needs) || {}
        // A disabled plugin may be a stranger's that nobody has agreed to: no program is started because it says so.
        const look = () => checkNeeds(needs, { bus, mayStart: status.state !== 'disabled' })
        return { ...status, needs, checkNeeds: look, diagnose: () => unit.diagnose() }
      }),
    facts,
    user: thisUser,
    load: () => ({
      clients: hub.clients.size,
      sessions: sessions.list().length,
      subscriptions: Object.fromEntries([...hub.modules].map(([id, { subscribers }]) => [id, subscribers.size])),
      plugins: supervisor.health(),
    }),
    observe: (observer) => observers.add(observer),
    serveApp: (answer) => app.serve(answer),
  }
}
