import { definePlugin } from 'patchbay/plugin'
import { host } from './contract.ts'
import { diagnose } from './driver/diagnosis.ts'
import { examineHost } from './driver/machine.ts'

export default definePlugin(host, {
  start(ctx) {
    const control = ctx.host
    const publish = () => {
      ctx.publish('host:plugins', control.plugins())
      ctx.publish('host:config', {
        problems: control.configProblems().map(({ file, line, message }) => ({ file, line, message })),
      })
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

    const plugin = (id: string) => {
      const found = control.plugins().find((candidate) => candidate.id === id)
      if (!found) throw ctx.error('HOST_NO_PLUGIN')
      return found
    }
    /** Does it to a plugin other than this one, and answers what came of it. */
    const change = async (id: string, what: string, work: () => Promise<void>) => {
      if (plugin(id).id === ctx.id) throw ctx.error('HOST_NOT_POSSIBLE', `The host module cannot be ${what}; restart Patchbay.`)
      await work()
      const { state, reason } = plugin(id)
      return { state, ...(reason !== undefined && { reason }) }
    }
    const written = <T>(work: Promise<T>) =>
      work.catch((error: Error) => {
        throw ctx.error('HOST_NOT_POSSIBLE', error.message)
      })
    ctx.handle('host:enable', ({ id, grants }) =>
      change(id, 'switched on or off', async () => {
        const asks = await written(control.grant(id, grants))
        if (asks.length > 0) throw ctx.error('HOST_ASKS_FOR_MORE', undefined, { details: { asks } })
        await written(control.setEnabled(id, true))
      }),
    )
    ctx.handle('host:disable', ({ id }) => change(id, 'switched on or off', () => written(control.setEnabled(id, false))))
    ctx.handle('host:restart', ({ id }) => change(id, 'restarted', () => control.restart(id)))
    ctx.handle('host:release', ({ id }) => {
      if (plugin(id).state !== 'quarantined') throw ctx.error('HOST_NOT_POSSIBLE', `${id} is not in quarantine.`)
      return change(id, 'released', () => control.restart(id))
    })

    ctx.handle('host:doctor', async () => {
      const examiner = { bus: ctx.dbus, user: await control.user() }
      const rows = await diagnose(control.patients(), examiner, () => examineHost(control.facts()))
      return { plugins: rows.map(({ findings, ...row }) => ({ ...row, findings: [...findings] })) }
    })
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
      control.observe({
        notice(notice) {
          if (notice.kind !== 'token_reused') return
          const { userId, session, address } = notice
          ctx.send({ user: userId }, 'host:session_alert', { session, at: Date.now(), address })
        },
      }),
    )
  },
})
