// The Wi-Fi and the Bluetooth panel in Chromium, outside, against the installed service and real drivers inside: what a person does there
// is done, and what they see is so. One machine; the app is opened as a Mini App, as its port is all that leads in.
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { signedInitData } from '../../core/testing/init-data.ts'
import { openInTelegram } from '../e2e/app.ts'
import { bootMachine } from './machine.ts'
import { botToken, installPatchbay } from './patchbay.ts'

t.setTimeout(1_800_000)
/** For what the machine, emulated and with a loaded one below it, may take. */
const patienceMs = 180_000
const password = 'correcthorse'
const other = '00:AA:01:01:00:01'

const machine = await bootMachine(t, { ports: [8080], hardware: true, frozen: true })
await installPatchbay(machine, { '1000': 'owner' }, { off: ['audio', 'camera', 'storage', 'system'] })

/** The output of a script that must succeed. */
async function sh(script: string): Promise<string> {
  const { code, output } = await machine.run(script, { timeoutMs: patienceMs })
  if (code !== 0) throw new Error(`exit code ${code} of ${script}:\n${output}`)
  return output.trimEnd()
}

async function open(t: Test, module: string) {
  const url = `http://127.0.0.1:${machine.ports.get(8080)}`
  const opened = await openInTelegram(t, url, signedInitData(botToken, 1000, { start_param: module }))
  opened.context.setDefaultTimeout(patienceMs)
  await opened.page.locator(`[data-figure=${module}]`).waitFor({ timeout: patienceMs })
  return opened
}

void t.test('a network is found and joined with its password, and forgotten', async (t) => {
  const { page, complaints } = await open(t, 'wifi')
  const figure = page.locator('[data-figure=wifi]')
  const scan = page.getByRole('button', { name: 'Look again' })
  const network = page.getByRole('button', { name: /LabNet/ })
  // The first scan after an access point came up can be empty.
  for (let tries = 0; tries < 5 && (await network.count()) === 0; tries++) {
    await scan.click()
    await page.locator('button:enabled', { hasText: 'Look again' }).waitFor()
  }
  await network.click()
  await page.getByLabel('Password').first().fill(password)
  const connect = page.locator('form.inset button[type=submit]')
  for (let tries = 1; ; tries++) {
    await connect.click()
    await page.locator('form.inset button[aria-busy=true]').waitFor({ state: 'detached' })
    if ((await connect.count()) === 0) break
    // What may only have been late is tried again, as often as one user may.
    if (tries === 10) throw new Error('it was not joined')
    await delay(11_000)
  }
  await figure.getByText('LabNet').waitFor()
  await page.getByText('10.77.0.1', { exact: true }).waitFor()
  t.equal(await sh('nmcli -t -f TYPE,NAME connection show --active | sed -n "s/^802-11-wireless://p"'), 'LabNet')

  await page.getByRole('button', { name: 'Forget' }).last().click()
  await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click()
  await figure.getByText('not connected').waitFor()
  t.equal(await sh('nmcli -t -f TYPE,NAME connection show | sed -n "s/^802-11-wireless://p"'), '')
  t.strictSame(complaints, [])
})

void t.test('a device is found, paired by comparing numbers on both sides, and forgotten', async (t) => {
  // The other device, and a person at it: bluetoothctl with the second controller, as in bluetooth.test.ts.
  const says = (...lines: string[]) =>
    sh(`: >/run/peer.log; printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} >/run/peer`)
  const hears = (pattern: string) => sh(`until grep -m1 -E '${pattern}' /run/peer.log; do sleep 0.2; done`)
  await sh(`rm -f /run/peer /run/peer.log; mkfifo /run/peer
    setsid bluetoothctl --agent KeyboardDisplay 0<>/run/peer >>/run/peer.log 2>&1 &
    until grep -q 'Agent registered' /run/peer.log; do sleep 0.2; done`)
  await says(`select ${other}`, 'default-agent', 'pairable on', 'discoverable on')
  await hears('Changing discoverable on succeeded')

  const { page, complaints } = await open(t, 'bluetooth')
  await page.getByRole('button', { name: 'Look for devices' }).click()
  const device = page.locator(`[data-mac="${other}"]`)
  await device.waitFor()
  await sh(': >/run/peer.log')
  await device.getByRole('button', { name: 'Pair' }).click()
  const question = page.getByRole('dialog')
  const [, shown] = (await hears('Confirm passkey [0-9]+')).match(/Confirm passkey (\d+)/) ?? []
  t.equal(await question.locator('.number').textContent(), shown, 'both show the same number')
  await says('yes')
  await question.getByRole('button', { name: 'Yes, it is the same' }).click()
  await device.getByText('paired').waitFor()
  t.match(await sh(`bluetoothctl devices Paired`), other)

  await device.getByRole('button', { name: 'Forget' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click()
  await device.getByText('paired').waitFor({ state: 'detached' })
  t.strictSame(complaints, [])
})
