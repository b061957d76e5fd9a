import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { signedInitData } from '../../core/testing/init-data.ts'
import { botToken, type Daemon } from '../cli/daemon.ts'
import { dark, openApp, openInTelegram, placeFor, until } from './app.ts'

type Told = Array<[string, Record<string, unknown> | undefined]>

const open = (t: Test, daemon: Daemon, initData: string) => openInTelegram(t, daemon.url, initData)
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

void t.test('the main button joins the network that is chosen, and goes when that is done', async (t) => {
  const plugins = { plugins: { wifi: { settings: { simulated: true } } } }
  const place = await placeFor(t, [], { access: { users: { '1000': 'owner' } }, plugins })
  const { page, complaints } = await open(t, await place.start(), signedInitData(botToken, 1000, { start_param: 'wifi' }))
  const button = async () => (await told(page, 'web_app_setup_main_button')).at(-1)
  await page.getByRole('button', { name: /Simulated guests/ }).click()
  await until(async () => (await button())?.['is_visible'] === true)
  t.match(await button(), { text: 'Connect', is_active: true, is_progress_visible: false })
  await say(page, 'main_button_pressed')
  await until(async () => (await button())?.['is_progress_visible'] === true)
  await page.locator('[data-figure=wifi]').getByText('Simulated guests').waitFor()
  await until(async () => (await button())?.['is_visible'] === false)
  t.strictSame(complaints, [])
})

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
