import { definePlugin } from 'patchbay/plugin'
import { host } from './contract.ts'

export default definePlugin(host, {
  start(ctx) {
    const control = ctx.host
    const publish = () => {
      ctx.publish('host:plugins', control.plugins())
      ctx.publish('host:config', { problems: control.configProblems() })
    }
    // Several plugins change state at once; one message tells of all.
    let isScheduled = false
    const schedule = () => {
      if (isScheduled) return
      isScheduled = true
      setImmediate(() => {
        isScheduled = false
        publish()
      })
    }
    ctx.own(control.onChange(schedule))
    publish()

    const known = (id: string) => {
      const plugin = control.plugins().find((candidate) => candidate.id === id)
      if (!plugin) throw ctx.error('HOST_NO_PLUGIN')
      return plugin
    }
    const setEnabled = async (id: string, enabled: boolean) => {
      if (known(id).id === 'host') throw ctx.error('HOST_NOT_POSSIBLE', 'The host module cannot be switched off.')
      try {
        await control.setEnabled(id, enabled)
      } catch (error) {
        throw ctx.error('HOST_NOT_POSSIBLE', (error as Error).message)
      }
    }
    ctx.handle('host:enable', ({ id }) => setEnabled(id, true))
    ctx.handle('host:disable', ({ id }) => setEnabled(id, false))
    const restart = async (id: string) => {
      if (known(id).id === 'host') throw ctx.error('HOST_NOT_POSSIBLE', 'The host module restarts with Patchbay.')
      await control.restart(id)
    }
    ctx.handle('host:restart', ({ id }) => restart(id))
    ctx.handle('host:release', ({ id }) => restart(id))

    ctx.handle('host:sessions', (payload, { caller }) => {
      const all = payload?.all === true
      if (all && !caller.roles.includes('owner')) throw ctx.error('FORBIDDEN', "Only an owner sees everyone's sessions.")
      const sessions = control.sessions(all ? undefined : caller.userId)
      return { sessions: sessions.map((session) => ({ ...session, current: session.id === caller.sessionId })) }
    })
    ctx.handle('host:revoke', ({ id }, { caller, afterAck }) => {
      const whose = caller.roles.includes('owner') ? undefined : caller.userId
      if (!control.sessions(whose).some((session) => session.id === id)) throw ctx.error('HOST_NO_SESSION')
      // The session may be the caller's own: he gets his answer first.
      afterAck(() => void control.revoke(id, whose))
    })
    ctx.own(
      control.onTokenReuse(({ id, userId, refusedTokens }) => {
        const last = refusedTokens.at(-1)
        if (last) ctx.send({ user: userId }, 'host:session_alert', { session: id, ...last })
      }),
    )
  },
})
