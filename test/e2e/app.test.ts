import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { listen, logIn, placeFor, until } from './app.ts'

t.setTimeout(300_000)

void t.test(
  'by the one-time link one is in, a reload keeps one in, a second tab has a token of its own, and figures change',
  async (t) => {
    const place = await placeFor(t, ['panel', 'system'])
    const { page, context, complaints, url } = await logIn(t, place)
    t.equal(page.url(), `${url}/`, 'nothing of the link is left in the address')
    await page.getByRole('main').getByRole('link', { name: 'System' }).click()
    const memory = page.locator('[data-figure=memory]')
    await memory.waitFor()
    await page.getByRole('img', { name: /^Processor, the last 15 minutes/ }).waitFor()
    // One of the figures changes, whatever this machine does; none of them is known beforehand.
    const first = await page.locator('main').textContent()
    await until(async () => (await page.locator('main').textContent()) !== first)
    await page.reload()
    await page.getByRole('heading', { name: 'System', level: 1 }).waitFor()
    await memory.waitFor()
    const second = await context.newPage()
    const more = listen(second)
    await second.goto(`${url}/#/host`)
    await second.getByText('2 connected').waitFor()
    const stored = await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])')
    t.equal(stored, '[{},{},""]', 'no token where a script could find it')
    t.strictSame([...complaints, ...more], [])
  },
)

void t.test(
  'a daemon that is gone is told quietly, what was heard is grey with its age, and both mend by themselves',
  async (t) => {
    const place = await placeFor(t, ['panel', 'system'])
    const { page, daemon, url } = await logIn(t, place)
    await page.getByRole('navigation').getByRole('link', { name: 'System' }).click()
    await page.locator('[data-figure=memory]').waitFor()
    await daemon.program.kill('SIGKILL')
    await page.getByText('The connection is lost.').waitFor()
    await page.locator('.stale [data-figure=memory]').waitFor()
    await page
      .getByText(/^as of \d+ seconds? ago$/)
      .first()
      .waitFor()
    await page.getByRole('button', { name: 'Restart the machine' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Restart the machine' }).click()
    await page.getByText('The machine is not connected; nothing was sent.').waitFor()
    await place.start([], { PATCHBAY_PORT: new URL(url).port })
    await page.getByText('The connection is lost.').waitFor({ state: 'detached' })
    await page.locator('.stale').first().waitFor({ state: 'detached' })
    t.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'System', 'the session goes on where it was')
  },
)

void t.test('an owner switches a module off and on, and a session that is ended leads back to the threshold', async (t) => {
  const place = await placeFor(t, ['panel', 'system'])
  const { page, complaints } = await logIn(t, place)
  const isOn = async () =>
    (JSON.parse(await readFile(join(place.configDir, 'plugins.json'), 'utf8')) as { plugins: { system: { enabled: boolean } } })
      .plugins.system.enabled
  await page.getByRole('navigation').getByRole('link', { name: 'System' }).click()
  await page.locator('[data-figure=memory]').waitFor()
  await page.getByRole('button', { name: 'Switch the module off' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  t.equal(await isOn(), true, 'asked, and not done')
  await page.getByRole('button', { name: 'Switch the module off' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Switch the module off' }).click()
  await page.getByRole('button', { name: 'Switch the module on' }).waitFor()
  t.equal(await isOn(), false)
  await page.locator('.stale [data-figure=memory]').waitFor()
  await page.getByRole('button', { name: 'Switch the module on' }).click()
  await page.locator('main .state.running').waitFor()
  await page.locator('.stale').first().waitFor({ state: 'detached' })
  t.equal(await isOn(), true)
  await page.getByRole('navigation').getByRole('link', { name: 'Patchbay' }).click()
  await page.getByRole('button', { name: 'End' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'End' }).click()
  await page.getByText('Nobody is logged in here.').waitFor()
  t.strictSame(complaints, [])
})

void t.test(
  "a stranger's plugin that is dropped in shows at once, with what it asks for, and its generated panel works",
  async (t) => {
    const place = await placeFor(t, ['panel'])
    const { page, complaints } = await logIn(t, place)
    await page.getByRole('navigation').getByRole('link', { name: 'Patchbay' }).waitFor()
    const contract = {
      description: 'A lamp.',
      commands: {
        'lamp:set': {
          description: 'Sets it.',
          role: 'operator',
          payload: {
            type: 'object',
            properties: {
              level: { type: 'integer', minimum: 0, maximum: 10 },
              mood: { enum: ['calm', 'bright'] },
              name: { type: 'string', minLength: 2, maxLength: 20 },
              blink: { type: 'boolean' },
            },
            required: ['level', 'mood', 'blink'],
            additionalProperties: false,
          },
          result: { type: 'object', properties: { was: { type: 'integer' } } },
        },
        'lamp:break': { role: 'operator' },
      },
      events: {
        'lamp:state': {
          retained: true,
          payload: {
            type: 'object',
            properties: {
              level: { type: 'integer' },
              mood: { type: 'string' },
              sinceMs: { type: 'number', description: 'Milliseconds.' },
              size: { type: 'number', description: 'In bytes.' },
            },
          },
        },
      },
      errors: { LAMP_BROKEN: 'The lamp is broken.' },
    }
    await place.addPlugin(
      'lamp',
      contract,
      `let level = 0
     const tell = (mood) => ctx.publish('lamp:state', { level, mood, sinceMs: 12, size: 2500000 })
     tell('<b>calm</b>')
     ctx.handle('lamp:set', ({ level: next, mood }) => { const was = level; level = next; tell(mood); return { was } })
     ctx.handle('lamp:break', () => { throw ctx.error('LAMP_BROKEN') })`,
    )
    await page.getByRole('navigation').getByRole('link', { name: 'Lamp' }).click()
    await page.getByText('does not come with Patchbay').waitFor()
    await page.getByRole('button', { name: 'Switch the module on' }).click()
    const state = page.locator('[data-event="lamp:state"]')
    await state.getByText('<b>calm</b>').waitFor()
    await state.getByText('2.5 MB').waitFor()
    await state.getByText('12 ms').waitFor()
    const set = page.locator('[data-command="lamp:set"]')
    await set.getByRole('spinbutton', { name: 'Level' }).fill('7')
    await set.getByRole('combobox', { name: 'Mood' }).selectOption('bright')
    await set.getByRole('button').click()
    await set.getByText('Done.').waitFor()
    await state.getByText('bright').waitFor()
    t.match(await state.textContent(), /Level7/)
    const broken = page.locator('[data-command="lamp:break"]')
    await broken.getByRole('button').click()
    await broken.getByText('The lamp is broken. LAMP_BROKEN').waitFor()
    t.strictSame(complaints, [])
  },
)
