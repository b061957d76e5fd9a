import { readFile } from 'node:fs/promises'
import { definePlugin } from 'patchbay/plugin'
import { panel } from './contract.ts'
import { loadApp } from './driver/app.ts'
import { describe } from './driver/modules.ts'
import { Frames } from './driver/strangers.ts'

export default definePlugin(panel, {
  async start(ctx) {
    const control = ctx.host
    const app = await loadApp(new URL('./app/', import.meta.url))
    const frames = new Frames(await readFile(new URL('./app/frame.js', import.meta.url), 'utf8'), (id, sentence) =>
      ctx.log.warn({ module: id, reason: sentence }, 'a panel is not shown'),
    )
    ctx.own(control.serveApp((path, headers) => frames.page(path) ?? app(path, headers)))
    ctx.handle('panel:me', (_payload, { caller: { userId, roles } }) => ({ userId, roles: [...roles] }))
    let published = ''
    const publish = async () => {
      const mounted = control.contracts()
      await frames.follow(mounted)
      const modules = mounted.map((one) => describe(one, frames.pathOf(one.id)))
      // A module that changes its state has the same contract.
      if (ctx.signal.aborted || JSON.stringify(modules) === published) return
      published = JSON.stringify(modules)
      ctx.publish('panel:modules', modules)
    }
    ctx.own(control.onChange(() => void publish()))
    await publish()
  },
})
