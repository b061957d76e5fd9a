import { join } from 'node:path'
import { definePlugin } from 'patchbay/plugin'
import { audit } from './contract.ts'
import { Trail } from './driver/trail.ts'
import { Recorder } from './recorder.ts'

export default definePlugin(audit, {
  async start(ctx) {
    const { fileMegabytes, files } = ctx.settings
    const trail = await ctx.own(
      Trail.open({
        directory: join(ctx.host.directory, 'audit'),
        maxBytes: fileMegabytes * 1024 * 1024,
        files,
        onTrouble(reason) {
          ctx.log.error({ reason }, 'the audit cannot be written')
          ctx.publishError('AUDIT_NOT_WRITTEN', `The audit cannot be written: ${reason}. See to it; up to 1 MiB of lines waits.`)
        },
        onMended: (lost) => ctx.log.warn({ lost }, 'the audit is written again'),
      }),
    )

    let publish: ((entry: ReturnType<Trail['write']>[number]) => void) | undefined
    const recorder = ctx.own(
      new Recorder((entries) => {
        for (const entry of trail.write(entries)) publish?.(entry)
      }),
    )
    ctx.own(ctx.host.observe(recorder))
    ctx.whileSubscribed((watch) => {
      publish = (entry) => watch.publish('audit:entry', entry)
      return () => {
        publish = undefined
      }
    })

    ctx.handle('audit:recent', async (payload) => {
      try {
        return { entries: await trail.recent(payload?.limit ?? 100, payload?.before) }
      } catch (error) {
        ctx.log.error({ err: error }, 'the audit cannot be read')
        throw ctx.error('AUDIT_NOT_READ')
      }
    })
  },
})
