import { setTimeout as delay } from 'node:timers/promises'
import type { BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import type { Test } from 'tap'
import { Place } from '../cli/daemon.ts'
import { startBrowser } from './browser.ts'

/** What a page said that it should not have. */
type Complaints = string[]

export interface Opened {
  readonly page: Page
  readonly context: BrowserContext
  readonly complaints: Complaints
}

/** A real daemon with only these plugins on, nobody's yet, so that it prints its one-time link. */
export async function placeFor(t: Test, on: readonly string[], more: Record<string, unknown> = {}): Promise<Place> {
  const known = ['audio', 'audit', 'bluetooth', 'camera', 'contract', 'mdns', 'metrics', 'panel', 'storage', 'system', 'wifi']
  const plugins = Object.fromEntries(known.map((id) => [id, { enabled: on.includes(id) }]))
  return Place.create(t, { access: { users: {} }, plugins: { plugins }, ...more })
}

/** Opens the app by the link that the daemon prints. */
export async function logIn(
  t: Test,
  place: Place,
  options: BrowserContextOptions = {},
): Promise<Opened & { url: string; daemon: Awaited<ReturnType<Place['start']>> }> {
  const daemon = await place.start(['--print-link'])
  const link = await daemon.program.says(/http:\S+\/login#\S+/)
  const opened = await openApp(t, options)
  await opened.page.goto(link)
  await opened.page.getByRole('heading', { name: 'This machine' }).waitFor()
  return { ...opened, url: daemon.url, daemon }
}

/** A page that keeps what it complains of. */
export async function openApp(t: Test, options: BrowserContextOptions = {}): Promise<Opened> {
  const browser = await startBrowser(t)
  const context = await browser.newContext({ locale: 'en-GB', ...options })
  context.setDefaultTimeout(30_000)
  const page = await context.newPage()
  return { page, context, complaints: listen(page) }
}

/** Telegram's own dark theme, as far as the app looks at it. */
export const dark = {
  bg_color: '#17212b',
  text_color: '#f5f5f5',
  button_color: '#5288c1',
  button_text_color: '#ffffff',
  secondary_bg_color: '#232e3c',
}

/**
 * The app as Telegram opens it: launch parameters in the fragment, and around it what takes the app's calls (into the page's `told`)
 * and sends events.
 */
export async function openInTelegram(t: Test, url: string, initData: string): Promise<Opened> {
  const opened = await openApp(t, { viewport: { width: 390, height: 844 } })
  await opened.page.addInitScript(() => {
    const told: unknown[] = []
    Object.assign(globalThis, {
      told,
      TelegramWebviewProxy: { postEvent: (name: string, data: string) => told.push([name, data ? JSON.parse(data) : undefined]) },
    })
  })
  const launch = {
    tgWebAppData: initData,
    tgWebAppVersion: '8.0',
    tgWebAppPlatform: 'android',
    tgWebAppThemeParams: JSON.stringify(dark),
  }
  await opened.page.goto(`${url}/#${new URLSearchParams(launch).toString()}`)
  return opened
}

export function listen(page: Page): Complaints {
  const complaints: Complaints = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // What the network cannot reach is the browser's own remark, and told by the app in its own way.
    if (
      ['error', 'warning'].includes(message.type()) &&
      !/net::ERR|WebSocket connection to|Failed to load resource/.test(message.text())
    )
      complaints.push(message.text())
  })
  return complaints
}

/** Resolves once it is so; rejects after half a minute. */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; !(await isSo()); await delay(100))
    if (Date.now() > end) throw new Error('it did not come true')
}
