import { definePlugin } from 'patchbay/plugin'
import contract from './contract.json' with { type: 'json' }
import * as flooding from './flooding.js'
import * as greedy from './greedy.js'
import * as hanging from './hanging.js'
import * as leaving from './leaving.js'
import * as lying from './lying.js'
import * as reaching from './reaching.js'
import * as throwing from './throwing.js'

const deeds = { ...flooding, ...greedy, ...hanging, ...leaving, ...lying, ...reaching, ...throwing }

/** Does each deed that the tests name, when a client says so or when its settings do. */
export default definePlugin(contract, {
  async start(ctx) {
    const { onStart, onStop, args } = ctx.settings
    if (onStop) ctx.own(() => deeds[onStop](args, { ctx }))
    ctx.handle('hostile:ping', () => ({ pid: process.pid, ppid: process.ppid }))
    ctx.handle('hostile:wait', () => new Promise(() => undefined))
    ctx.handle('hostile:brief', () => new Promise(() => undefined))
    ctx.handle('hostile:do', ({ what, args = {} }, call) => deeds[what](args, { ctx, call }))
    ctx.whileSubscribed((watch) => {
      let count = 0
      const timer = setInterval(() => watch.publish('hostile:tick', ++count), 50)
      return () => clearInterval(timer)
    })
    if (onStart) await deeds[onStart](args, { ctx })
  },
})
