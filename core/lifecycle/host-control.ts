import type { Session, Sessions } from '../auth/sessions.ts'
import type { Config } from '../config/config.ts'
import type { HostControl, SessionInfo } from '../plugin/host-control.ts'
import type { Hub } from '../wire/hub.ts'
import type { Supervisor } from './supervisor.ts'

export interface HostControlParts {
  readonly config: Config
  readonly supervisor: Supervisor
  readonly sessions: Sessions
  readonly hub: Hub
  /** Told of reused tokens; returns what takes the listener away. */
  readonly onReuse: (listener: (session: Session) => void) => () => void
}

/** What the `host` module may do with the host. */
export function createHostControl({ config, supervisor, sessions, hub, onReuse }: HostControlParts): HostControl {
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
    plugins: () => supervisor.statuses(),
    configProblems: () => [...config.problems],
    onChange(listener) {
      const releases = [supervisor.onChange(listener), config.onChange((change) => change === 'problems' && listener())]
      return () => {
        for (const release of releases) release()
      }
    },
    async setEnabled(id, enabled) {
      await config.update('plugins', ['plugins', id, 'enabled'], enabled)
      await supervisor.reconcile()
    },
    restart: async (id) => supervisor.unit(id)?.restart(),
    sessions: (userId) => sessions.list(userId).map(info),
    revoke: (id, userId) => sessions.revoke(id, userId),
    onTokenReuse: (listener) => onReuse((session) => listener(info(session))),
  }
}
