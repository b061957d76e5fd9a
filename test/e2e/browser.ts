import { type Browser, chromium } from 'playwright-core'
import type { Test } from 'tap'

/** Debian's Chromium, which speaks with nobody but who is named. */
export async function startBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    headless: true,
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/' },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
    ],
  })
  t.teardown(() => browser.close())
  return browser
}
