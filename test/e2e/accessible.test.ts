import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import t from 'tap'
import { logIn, placeFor } from './app.ts'

t.setTimeout(300_000)
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation {
  readonly id: string
  readonly nodes: ReadonlyArray<{ readonly html: string; readonly any: ReadonlyArray<{ readonly message: string }> }>
}

/** What axe finds wrong with the page as it is now, by WCAG 2.2 AA. */
async function wrong(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
  const { violations } = (await page.evaluate(`axe.run({ runOnly: ${JSON.stringify(tags)} })`)) as { violations: Violation[] }
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, any }) => `${id}: ${html.slice(0, 120)} ${any[0]?.message ?? ''}`),
  )
}

void t.test('every page can be read and used by everybody, in both themes', async (t) => {
  const place = await placeFor(t, ['panel', 'system', 'storage', 'contract', 'audit'])
  const { page } = await logIn(t, place)
  for (const id of ['', 'system', 'storage', 'host', 'panel', 'audit', 'wifi'])
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await page.evaluate((route) => {
        ;(globalThis as unknown as { location: { hash: string } }).location.hash = `#/${route}`
      }, id)
      await page.locator('main .state, main .standing').first().waitFor()
      if (id === 'system') await page.locator('[data-figure=memory]').waitFor()
      t.strictSame(await wrong(page), [], `${id || 'home'} ${colorScheme}`)
    }
  await page.setViewportSize({ width: 390, height: 844 })
  t.strictSame(await wrong(page), [], 'on a phone')
})

void t.test('so can every panel with something in it, on a phone', async (t) => {
  const plugins = JSON.parse(await readFile(new URL('../../scripts/demo/plugins.json', import.meta.url), 'utf8'))
  const { page } = await logIn(t, await placeFor(t, [], { plugins }), { viewport: { width: 390, height: 844 } })
  const shown = {
    Sound: 'Simulated television',
    Bluetooth: 'Simulated headphones',
    Camera: 'Simulated camera',
    Storage: 'Simulated SATA drive',
    System: '4 cores',
    'Wi-Fi': 'Simulated cafe',
  }
  for (const [name, text] of Object.entries(shown)) {
    await page.getByRole('main').getByRole('link', { name }).click()
    await page.getByText(text).first().waitFor()
    if (name === 'Wi-Fi') await page.getByRole('button', { name: /Simulated cafe/ }).click()
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      t.strictSame(await wrong(page), [], `${name} ${colorScheme}`)
    }
    const scrolls = 'document.documentElement.scrollWidth > innerWidth'
    t.equal(await page.evaluate(scrolls), false, `${name} is no wider than the phone`)
    await page.getByRole('button', { name: 'Back' }).click()
  }
})

void t.test('who wants no movement sees none', async (t) => {
  const { page } = await logIn(t, await placeFor(t, ['panel']))
  const movement = `(() => {
    const button = document.querySelector('main').appendChild(document.createElement('button'))
    button.ariaBusy = 'true'
    return getComputedStyle(button).animationName
  })()`
  t.equal(await page.evaluate(movement), 'sweep')
  await page.emulateMedia({ reducedMotion: 'reduce' })
  t.equal(await page.evaluate(movement), 'none')
})

void t.test('with the keyboard alone one gets to a module, and a question has the focus on what does no harm', async (t) => {
  const place = await placeFor(t, ['panel', 'system'])
  const { page } = await logIn(t, place)
  const focused = () => page.evaluate('document.activeElement.textContent.trim()')
  await page.keyboard.press('Tab')
  t.equal(await focused(), 'Skip to the content')
  const link = page.getByRole('navigation').getByRole('link', { name: 'System' })
  for (let i = 0; i < 40 && !(await link.evaluate((one) => one.matches(':focus'))); i++) await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.locator('[data-figure=memory]').waitFor()
  t.equal(await focused(), 'System', 'who hears the page is told where he is')
  const off = page.getByRole('button', { name: 'Switch the module off' })
  for (let i = 0; i < 10 && !(await off.evaluate((one) => one.matches(':focus'))); i++) await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  t.equal(await focused(), 'Cancel')
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  t.match(await page.locator('main .state').first().textContent(), /running/)
})
