import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { appSize } from '../checks/app-size.mjs'
import { lineOf, path, prepare, startPlain, stop } from './processes.mjs'
import { absolute, median, pair } from './table.mjs'

/** As slow beside this machine as Lighthouse takes a phone to be, and the time that it calls good there. */
const [slower, goodMs] = [4, 2500]
const figure = '[data-figure=memory]'

/**
 * What a phone downloads, and how long it takes until a figure of the machine is on its screen: from the address to the memory's in the panel
 * of `system`, in Chromium with its CPU throttled. Beside it a page of a few lines that shows the same from a bare Socket.IO server
 * (server-page.mjs). Nothing is far away: what the network adds is not in it.
 */
export async function app({ quick }) {
  const { first, panels, most } = await appSize()
  const [[, largest]] = panels
  const env = await prepare()
  // Nobody's yet, so that it prints its one-time link.
  await writeFile(join(env.PATCHBAY_CONFIG_DIR, 'access.json'), '{}', { mode: 0o600 })
  const ours = startPlain([path('../../dist/cli.js'), 'start', '--print-link'], env)
  const bare = startPlain([path('./server-page.mjs')], { PATH: process.env.PATH, NODE_ENV: 'production' })
  const link = await lineOf(ours, /(http:\S+\/login#\S+)/)
  const addresses = { ours: `${new URL(link).origin}/#/system`, bare: await lineOf(bare, /listening on (\S+)/) }
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  try {
    const page = await browser.newPage()
    await page.goto(link)
    await page.waitForURL(/\/(#\/)?$/)
    const control = await page.context().newCDPSession(page)
    await control.send('Emulation.setCPUThrottlingRate', { rate: slower })
    const once = async (name) => {
      await page.goto('about:blank')
      await page.goto(addresses[name])
      await page.locator(figure).waitFor()
      return page.evaluate(() => globalThis.shownAt)
    }
    await page.addInitScript((selector) => {
      const watch = new MutationObserver(() => {
        if (!document.querySelector(selector)?.textContent) return
        globalThis.shownAt = performance.now()
        watch.disconnect()
      })
      watch.observe(document, { childList: true, subtree: true, characterData: true })
    }, figure)
    const [fresh, again] = [[], []]
    for (let round = 0; round < (quick ? 1 : 11); round++) {
      const both = [{}, {}]
      for (const name of round % 2 ? ['ours', 'bare'] : ['bare', 'ours']) {
        await control.send('Network.clearBrowserCache')
        for (const times of both) times[name] = await once(name)
      }
      fresh.push(both[0])
      again.push(both[1])
    }
    return [
      absolute('app: what the first page loads, gzip', 'kB', first / 1000, most.first / 1000),
      absolute('  the largest panel, gzip', 'kB', largest / 1000, most.panel / 1000),
      pair(`app: to the first figure, CPU ${slower} times slower, nothing cached`, 'ms', fresh),
      absolute('  of it ours', 'ms', median(fresh.map(({ ours }) => ours)), goodMs),
      pair('  the same, cached', 'ms', again),
    ]
  } finally {
    await browser.close()
    for (const child of [ours, bare]) await stop(child)
  }
}
