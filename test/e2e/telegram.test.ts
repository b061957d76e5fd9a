import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { signedInitData } from '../../core/testing/init-data.ts'
import { botToken, type Daemon } from '../cli/daemon.ts'
import { openApp, placeFor, until } from './app.ts'

const dark = {
  bg_color: '#17212b',
  text_color: '#f5f5f5',
  button_color: '#5288c1',
  button_text_color: '#ffffff',
  secondary_bg_color: '#232e3c',
}
type Told = Array<[string, Record<string, unknown> | undefined]>

/** The app as Telegram opens it: launch parameters in the fragment, and around it what takes the app's calls and sends events. */
async function open(t: Test, daemon: Daemon, initData: string) {
  const { page, complaints } = await openApp(t, { viewport: { width: 390, height: 844 } })
  await page.addInitScript(() => {
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
  await page.goto(`${daemon.url}/#${new URLSearchParams(launch).toString()}`)
  return { page, complaints }
}

const told = async (page: Page, name: string) =>
  ((await page.evaluate('globalThis.told')) as Told).filter(([one]) => one === name).map(([, data]) => data)
const say = (page: Page, event: string, data?: object) =>
  page.evaluate(
    ([name, payload]) =>
      (
        globalThis as unknown as { TelegramGameProxy: { receiveEvent(name: unknown, data: unknown): void } }
      ).TelegramGameProxy.receiveEvent(name, payload),
    [event, data] as const,
  )

void t.test(
  'Telegram lets in whom it signed for, at the panel that the deep link names, in its colours and with its buttons',
  async (t) => {
    const place = await placeFor(t, ['panel', 'system'], { access: { users: { '1000': 'operator' } } })
    const { page, complaints } = await open(t, await place.start(), signedInitData(botToken, 1000, { start_param: 'system' }))
    await page.locator('[data-figure=memory]').waitFor()
    await until(async () => (await told(page, 'web_app_ready')).length === 1)
    t.equal(await page.getByRole('button', { name: 'Restart the machine' }).count(), 0, 'what is for owners is not offered')
    t.equal(await page.evaluate('getComputedStyle(document.querySelector(".card")).backgroundColor'), 'rgb(23, 33, 43)')
    await say(page, 'theme_changed', { theme_params: { ...dark, bg_color: '#ffffff', text_color: '#000000' } })
    await until(
      async () =>
        (await page.evaluate('getComputedStyle(document.querySelector(".card")).backgroundColor')) === 'rgb(255, 255, 255)',
    )
    await until(async () => (await told(page, 'web_app_setup_back_button')).at(-1)?.['is_visible'] === true)
    await say(page, 'back_button_pressed')
    await page.getByRole('heading', { name: 'This machine' }).waitFor()
    await page.getByText('Hello, Test 1000.').waitFor()
    await until(async () => (await told(page, 'web_app_setup_back_button')).at(-1)?.['is_visible'] === false)
    t.equal(
      await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }])'),
      '[{},{}]',
      'init data is kept nowhere',
    )
    t.strictSame(complaints, [])
  },
)

void t.test('whom the machine does not know is told what its owner can do; a forged or an old login is refused', async (t) => {
  const place = await placeFor(t, ['panel'], { access: { users: { '1000': 'owner' } } })
  const daemon = await place.start()
  const stranger = await open(t, daemon, signedInitData(botToken, 4711))
  await stranger.page.getByText('You are Telegram user 4711, whom this machine does not know.').waitFor()
  await stranger.page
    .getByText(/access add 4711 operator$/)
    .first()
    .waitFor()
  const forged = await open(t, daemon, signedInitData('1:other', 1000))
  await forged.page.getByText(/is not signed by Telegram/).waitFor()
})

void t.test('opened without a login the page says how to get one', async (t) => {
  const place = await placeFor(t, ['panel'])
  const daemon = await place.start()
  const { page } = await openApp(t, { locale: 'de-DE' })
  await page.goto(daemon.url)
  await page.getByText('Hier ist niemand angemeldet.').waitFor()
  t.equal(await page.locator('html').getAttribute('lang'), 'de')
  await page.getByText('patchbay login').waitFor()
})
