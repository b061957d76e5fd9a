import { definePlugin } from 'patchbay/plugin'
import { contract } from './contract.ts'
import { asyncApi } from './driver/document.ts'
import { openApi } from './driver/openapi.ts'
import { contractPage } from './driver/page.ts'

export default definePlugin(contract, {
  start(ctx) {
    const control = ctx.host
    /** Makes a text when it is asked for, and again only after something has changed. */
    const kept = (make: () => string) => {
      let text: string | undefined
      ctx.own(control.onChange(() => (text = undefined)))
      return () => (text ??= make())
    }
    const version = () => control.plugins().find(({ id }) => id === 'host')?.version ?? ''
    const document = kept(() => JSON.stringify(asyncApi(control.contracts(), control.coreContract(), version()), undefined, 2))
    const page = kept(() => contractPage(control.contracts(), control.coreContract(), version()))
    ctx.serve('GET /', () => ({ type: 'application/json', body: document() }))
    const routes = kept(() => JSON.stringify(openApi(control.contracts(), version()), undefined, 2))
    ctx.serve('GET /openapi', () => ({ type: 'application/json', body: routes() }))
    ctx.serve('GET /html', () => ({ type: 'text/html; charset=utf-8', body: page() }))
  },
})
