// Pictures of every panel as it is on this machine, in both themes, on a phone and a desktop, in every language:
//   npm run screenshots -- [--demo] [folder]    (by default screenshots/, which git ignores)
// With --demo on the simulated hardware of scripts/start.sh --demo, so that no panel is empty.
import { spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { root } from '../checks/sources.mjs'

const { values, positionals } = parseArgs({ options: { demo: { type: 'boolean' } }, allowPositionals: true })
const folder = resolve(positionals[0] ?? join(root, 'screenshots'))
/** The first button of the panel, pressed before the picture is taken. */
const pressed = values.demo ? ['camera', 'bluetooth'] : ['camera']
const sizes = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 } }
const locales = ['en-GB', 'de-DE']
/** Milliseconds in which a panel has heard what there is to hear. */
const settleMs = 2500

const dir = await mkdtemp(join(tmpdir(), 'patchbay-screenshots-'))
await mkdir(join(dir, 'config'))
// A test pattern stands for a camera, and says so.
const camera = { enabled: true, settings: { simulated: true, localAddresses: true } }
const file = join(dir, 'config/plugins.json')
if (values.demo) await copyFile(join(root, 'scripts/demo/plugins.json'), file)
else await writeFile(file, JSON.stringify({ plugins: { camera } }), { mode: 0o600 })
const env = { ...process.env, PATCHBAY_CONFIG_DIR: join(dir, 'config'), PATCHBAY_DATA_DIR: join(dir, 'data'), PATCHBAY_PORT: '0' }
const daemon = spawn(process.execPath, [join(root, 'dist/cli.js'), 'start', '--print-link'], {
  env,
  stdio: ['ignore', 'pipe', 'inherit'],
})
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  const link = await new Promise((found, failed) => {
    let said = ''
    daemon.once('close', () => failed(new Error(said)))
    daemon.stdout.on('data', (text) => {
      said += text
      const [url] = /http:\S+\/login#\S+/.exec(said) ?? []
      if (url) found(url)
    })
  })
  const context = await browser.newContext()
  const first = await context.newPage()
  await first.goto(link)
  await first.locator('nav li').nth(3).waitFor({ state: 'attached' })
  const ids = await first.locator('nav li a').evaluateAll((links) => links.map((one) => one.getAttribute('href').slice(2)))
  const state = await context.storageState()
  for (const locale of locales)
    for (const colorScheme of ['light', 'dark'])
      for (const [size, viewport] of Object.entries(sizes)) {
        const page = await (await browser.newContext({ storageState: state, locale, colorScheme, viewport })).newPage()
        for (const id of ['', ...ids]) {
          await page.goto(`${new URL(link).origin}/#/${id}`)
          if (pressed.includes(id)) await page.locator('main section button').first().click()
          await page.waitForTimeout(settleMs)
          const file = `${id || 'home'}-${size}-${colorScheme}-${locale.slice(0, 2)}.png`
          await page.screenshot({ path: join(folder, file), fullPage: true })
        }
        await page.context().close()
        console.log(`${locale} ${colorScheme} ${size}`)
      }
  console.log(`in ${folder}`)
} finally {
  await browser.close()
  daemon.kill()
  await new Promise((ended) => (daemon.exitCode === null ? daemon.once('close', ended) : ended()))
  await rm(dir, { recursive: true, force: true })
}
