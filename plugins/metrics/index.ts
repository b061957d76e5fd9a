import { definePlugin } from 'patchbay/plugin'
import { metrics } from './contract.ts'
import { contentType, expose } from './driver/exposition.ts'
import { watchGarbage } from './driver/garbage.ts'
import { loadFamilies } from './driver/load.ts'
import { watchLoop } from './driver/loop.ts'
import { processFamilies } from './driver/process.ts'
import { Tally } from './driver/tally.ts'
import { WhileAsked } from './driver/while-asked.ts'

/** Nobody has scraped for so long: there is no Prometheus any more, or it was somebody's curl. */
const COUNT_QUIET_MS = 15 * 60_000
const LOOP_QUIET_MS = 5 * 60_000

export default definePlugin(metrics, {
  start(ctx) {
    const { host } = ctx
    const counting = ctx.own(
      new WhileAsked(COUNT_QUIET_MS, () => {
        const tally = new Tally()
        const garbage = watchGarbage()
        const release = host.observe({
          command: (outcome) => tally.command(outcome),
          delivered: (module, event, clients, held) => tally.delivered(module, event, clients, held),
          cutOff: () => tally.cutOff(),
          notice: (notice) => notice.kind === 'refused' && tally.refused(notice.code),
        })
        const close = () => {
          release()
          garbage.close()
        }
        return { families: () => [...tally.families(), ...garbage.families()], close }
      }),
    )
    const loop = ctx.own(new WhileAsked(LOOP_QUIET_MS, watchLoop))

    ctx.serve('GET /', async () => {
      const counted = counting.ask().families()
      const families = [...loadFamilies(host.load()), ...counted, ...loop.ask().families(), ...(await processFamilies())]
      return { type: contentType, body: expose(families) }
    })
  },
})
