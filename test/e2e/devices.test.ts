import t from 'tap'
import { Session } from '../../plugins/audio/test/server.ts'
import { logIn, placeFor, until } from './app.ts'

t.setTimeout(300_000)

void t.test('the volume follows the slider and the sound server, and the output that is chosen', async (t) => {
  const session = await new Session(t).start('PipeWire')
  await session.plug('PipeWire', 'speaker', 'Speaker')
  await session.plug('PipeWire', 'radio', 'Radio')
  await session.pactl('set-default-sink', 'speaker')
  const place = await placeFor(t, ['panel', 'audio'])
  place.env['XDG_RUNTIME_DIR'] = session.directory
  const { page, complaints } = await logIn(t, place)
  await page.getByRole('navigation').getByRole('link', { name: 'Sound' }).click()
  const slider = page.getByRole('slider', { name: 'Volume' })
  await slider.waitFor()
  const level = async () => /(\d+)%/.exec(await session.pactl('get-sink-volume', 'speaker'))?.[1]
  await slider.fill('37')
  await until(async () => (await level()) === '37')
  await session.pactl('set-sink-volume', 'speaker', '81%')
  await page.locator('[data-figure="audio:set_volume"]').getByText('81 %').waitFor()
  await page.getByRole('button', { name: 'Mute', exact: true }).first().click()
  await page.getByText('Muted', { exact: true }).waitFor()
  t.match(await session.pactl('get-sink-mute', 'speaker'), /yes/)
  // What is checked is what the machine says, so not at once.
  await page.getByRole('radio', { name: /^Radio/ }).click()
  await until(async () => (await session.pactl('get-default-sink')) === 'radio')
  await until(() => page.getByRole('radio', { name: /^Radio/ }).isChecked())
  t.strictSame(complaints, [])
})

void t.test(
  'the picture of a camera arrives and moves, a snapshot can be saved, and what is simulated says so',
  { timeout: 240_000 },
  async (t) => {
    const settings = {
      simulated: true,
      camera: 'simulated',
      frameRate: 15,
      bitrateKbps: 1000,
      maxBitrateKbps: 1000,
      localAddresses: true,
    }
    const off = Object.fromEntries(['audio', 'bluetooth', 'storage', 'system', 'wifi'].map((id) => [id, { enabled: false }]))
    const place = await placeFor(t, [], { plugins: { plugins: { ...off, camera: { enabled: true, settings } } } })
    const { page, complaints } = await logIn(t, place)
    await page.getByRole('navigation').getByRole('link', { name: 'Camera' }).click()
    await page.getByText('SIMULATED').first().waitFor()
    await page.getByRole('combobox', { name: 'Resolution' }).selectOption('480p')
    await page.getByRole('button', { name: 'Watch' }).click()
    await page.getByText('Live', { exact: true }).waitFor()
    const frames = () =>
      page
        .locator('video')
        .evaluate(
          (video) =>
            (video as unknown as { getVideoPlaybackQuality(): { totalVideoFrames: number } }).getVideoPlaybackQuality()
              .totalVideoFrames,
        )
    await until(async () => (await frames()) > 0)
    const before = await frames()
    await until(async () => (await frames()) >= before + 10)
    await page.getByText('watching').waitFor()
    await page.getByRole('button', { name: 'Take a snapshot' }).click()
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Save' }).click()])
    t.match(download.suggestedFilename(), /^snapshot-.*\.jpg$/)
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByText('Nobody watches.').waitFor()
    t.strictSame(complaints, [])
  },
)
