import { definePlugin } from 'patchbay/plugin'
import { panel } from './contract.ts'
import { loadApp } from './driver/app.ts'
import { describe } from './driver/modules.ts'

export default definePlugin(panel, {
  async start(ctx) {
    const control = ctx.host
    ctx.own(control.serveApp(await loadApp(new URL('./app/', import.meta.url))))
    ctx.handle('panel:me', (_payload, { caller: { userId, roles } }) => ({ userId, roles: [...roles] }))
    let published = ''
    const publish = () => {
      const modules = control.contracts().map(describe)
      // A module that changes its state has the same contract.
      if (JSON.stringify(modules) === published) return
      published = JSON.stringify(modules)
      ctx.publish('panel:modules', modules)
    }
    ctx.own(control.onChange(publish))
    publish()
  },
})
