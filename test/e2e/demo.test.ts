// What scripts/start.sh --demo shows: the panels of modules whose hardware is simulated. Against real services they are tried in the lab.
import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { logIn, type Opened, placeFor, until } from './app.ts'

t.setTimeout(240_000)

const demo = new URL('../../scripts/demo/plugins.json', import.meta.url)

async function open(t: Test, module: string): Promise<Opened> {
  const plugins = JSON.parse(await readFile(demo, 'utf8'))
  const opened = await logIn(t, await placeFor(t, [], { plugins }))
  await opened.page.getByText(/^SIMULATED, and not what this machine has: .*Bluetooth.*Wi-Fi/).waitFor()
  await opened.page.getByRole('navigation').getByRole('link', { name: module }).click()
  await opened.page.getByRole('heading', { name: `${module} SIMULATED` }).waitFor()
  return opened
}

void t.test('a network is joined with the right password, not with a wrong one', async (t) => {
  const { page, complaints } = await open(t, 'Wi-Fi')
  await page.locator('[data-figure=wifi]').getByText('Simulated home').waitFor()
  await page.getByRole('button', { name: /Simulated cafe/ }).click()
  const connect = page.getByRole('button', { name: 'Connect', exact: true })
  const password = page.getByRole('textbox', { name: 'Password' })
  await password.fill('not the key')
  await connect.click()
  await page.getByText('The network refused the password.').waitFor()
  await password.fill('12345678')
  await connect.click()
  await page.getByText('Connected to Simulated cafe, key 12345678.').waitFor()
  const figure = page.locator('[data-figure=wifi]')
  await figure.getByText('Simulated cafe').waitFor()
  t.strictSame(complaints, [])
})

void t.test('a network that hides its name is joined, and left after a warning', async (t) => {
  const { page, complaints } = await open(t, 'Wi-Fi')
  await page.getByText('A network that does not tell its name').click()
  await page.getByRole('textbox', { name: 'Name of the network' }).fill('Simulated hidden')
  await page.getByRole('textbox', { name: 'Password' }).fill('12345678')
  await page.getByRole('button', { name: 'Connect', exact: true }).click()
  const figure = page.locator('[data-figure=wifi]')
  await figure.getByText('Simulated hidden').waitFor()
  await page.getByRole('button', { name: 'Disconnect' }).click()
  const question = page.getByRole('dialog')
  await question.getByText(/you may cut the branch you sit on/).waitFor()
  await question.getByRole('button', { name: 'Disconnect' }).click()
  await figure.getByText('not connected').waitFor()
  t.strictSame(complaints, [])
})

void t.test('a phone is paired by comparing a number, and connected; a lock by its code', async (t) => {
  const { page, complaints } = await open(t, 'Bluetooth')
  await page.getByRole('button', { name: 'Look for devices' }).click()
  const phone = page.getByRole('listitem').filter({ hasText: 'Simulated phone' })
  await phone.getByRole('button', { name: 'Pair' }).click()
  const question = page.getByRole('dialog', { name: 'Pairing Simulated phone' })
  await question.getByText('271828').waitFor()
  await question.getByRole('button', { name: 'Yes, it is the same' }).click()
  await phone.getByRole('button', { name: 'Connect', exact: true }).click()
  await phone.getByRole('button', { name: 'Disconnect' }).waitFor()
  const lock = page.getByRole('listitem').filter({ hasText: 'Simulated lock' })
  await lock.getByRole('button', { name: 'Pair' }).click()
  const code = page.getByRole('dialog', { name: /^Pairing Simulated lock/ })
  await code.getByLabel('Code').fill('314159')
  await code.getByRole('button', { name: 'Pair' }).click()
  await lock.getByRole('button', { name: 'Forget' }).waitFor()
  t.strictSame(complaints, [])
})

void t.test('the charts show the last 15 minutes at once', async (t) => {
  const { page } = await open(t, 'System')
  await page.getByRole('img', { name: /^Processor, the last 15 minutes/ }).waitFor()
  // Whether the first fifth of the plot, beside the axis, holds the colour of the line (#0f5f7a).
  const isDrawn = `(() => {
    const canvas = document.querySelector('.chart canvas')
    const [left, right] = [62 * devicePixelRatio, canvas.width]
    const { data } = canvas.getContext('2d').getImageData(left, 0, (right - left) / 5, canvas.height)
    for (let at = 0; at < data.length; at += 4) if (data[at] === 15 && data[at + 1] === 95 && data[at + 2] === 122) return true
    return false
  })()`
  await until(async () => (await page.evaluate(isDrawn)) === true)
})
