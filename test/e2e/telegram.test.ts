import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { signedInitData } from '../../core/testing/init-data.ts'
import { botToken, type Daemon } from '../cli/daemon.ts'
import { dark, openApp, openInTelegram, placeFor, until } from './app.ts'

t.setTimeout(300_000)

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
    await say(page, 'safe_area_changed', { top: 40, bottom: 20, left: 30, right: 0 })
    await say(page, 'content_safe_area_changed', { top: 10, bottom: 0, left: 0, right: 0 })
    const padding =
      'Object.values((({ paddingTop, paddingLeft }) => ({ paddingTop, paddingLeft }))(getComputedStyle(document.querySelector(".frame"))))'
    t.same(await page.evaluate(padding), ['50px', '30px'], 'it keeps clear of what Telegram lays over it')
    t.strictSame(complaints, [])
  },
)

void t.test('Telegram asks before it closes the app only while a password is typed, and what is done can be felt', async (t) => {
  const plugins = { plugins: { wifi: { settings: { simulated: true } } } }
  const place = await placeFor(t, [], { access: { users: { '1000': 'owner' } }, plugins })
  const { page } = await open(t, await place.start(), signedInitData(botToken, 1000, { start_param: 'wifi' }))
  const asks = async () => (await told(page, 'web_app_setup_closing_behavior')).at(-1)?.['need_confirmation']
  await page.getByRole('button', { name: /Simulated cafe/ }).click()
  t.not(await asks(), true)
  const password = page.getByRole('textbox', { name: 'Password' })
  await password.fill('not the key')
  await until(async () => (await asks()) === true)
  await say(page, 'main_button_pressed')
  await page.getByText('The network refused the password.').waitFor()
  t.match((await told(page, 'web_app_trigger_haptic_feedback')).at(-1), { type: 'notification', notification_type: 'error' })
  await password.fill('')
  await until(async () => (await asks()) === false)
})

void t.test('when the machine has forgotten the session, the app logs in afresh and goes on', async (t) => {
  const place = await placeFor(t, ['panel', 'system'], { access: { users: { '1000': 'operator' } } })
  const daemon = await place.start()
  const { page } = await open(t, daemon, signedInitData(botToken, 1000, { start_param: 'system' }))
  await page.locator('[data-figure=memory]').waitFor()
  await daemon.program.kill('SIGKILL')
  await page.locator('.stale [data-figure=memory]').waitFor()
  await rm(join(place.dataDir, 'sessions.json'), { force: true })
  await place.start([], { PATCHBAY_PORT: new URL(daemon.url).port })
  await page.locator('.stale').first().waitFor({ state: 'detached' })
  await page.locator('[data-figure=memory]').waitFor()
})

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
  const old = await open(t, daemon, signedInitData(botToken, 1000, { auth_date: '1700000000' }))
  await old.page.getByText(/too old|expired/).waitFor()
  const without = await open(t, daemon, '')
  await without.page.getByText('Close the app and open it again from the bot.').waitFor()
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
