import t from 'tap'
import { Estimate } from '../peer/estimate.ts'
import { Place } from '../peer/place.ts'
import { median, Quality } from '../peer/quality.ts'

const limits = { frameRate: 24, bitrateKbps: 1500, maxBitrateKbps: 3000 }

/** Steps of two seconds. */
function run(quality: Quality, from: number, steps: number, allowedKbps: readonly number[], busy = 0.3): number {
  for (let i = 1; i <= steps; i++) quality.step({ allowedKbps, busy, now: from + 2000 * i })
  return from + 2000 * steps
}

void t.test('the bitrate follows the median viewer, down soon, up when it lasts, within its limits', async (t) => {
  const quality = new Quality(limits)
  let now = run(quality, 0, 3, [100, 900, 3000])
  t.equal(quality.target.bitrateKbps, 1500, 'not at once')
  now = run(quality, now, 4, [100, 900, 3000])
  t.equal(quality.target.bitrateKbps, 900)
  t.match(quality.reason, /900 kbit\/s/)
  now = run(quality, now, 10, [100])
  t.equal(quality.target.bitrateKbps, 500, 'no less than that')
  now = run(quality, now, 5, [2900, 3000])
  t.equal(quality.target.bitrateKbps, 500)
  now = run(quality, now, 10, [2900, 3000])
  t.equal(quality.target.bitrateKbps, 2950)
  now = run(quality, now, 20, [2900])
  t.equal(quality.target.bitrateKbps, 2950, 'a small difference is not worth a freeze')
  t.equal(quality.reason, null)
  quality.reset()
  t.equal(quality.target.bitrateKbps, 1500)
  t.equal(median([]), undefined)
})

void t.test('a busy machine makes fewer pictures, and more again when it is not', async (t) => {
  const quality = new Quality(limits)
  let now = run(quality, 0, 3, [1500], 0.9)
  t.equal(quality.target.frameRate, 24)
  now = run(quality, now, 1, [1500], 0.9)
  t.equal(quality.target.frameRate, 19)
  t.match(quality.reason, /19 pictures a second as the machine is busy/)
  now = run(quality, now, 20, [1500], 0.9)
  t.equal(quality.target.frameRate, 15)
  now = run(quality, now, 40, [1500], 0.7)
  t.equal(quality.target.frameRate, 15, 'in between it stays')
  run(quality, now, 40, [1500], 0.3)
  t.equal(quality.target.frameRate, 24)
  t.equal(quality.reason, null)
})

void t.test('what a way carries is learnt from its losses and from what its browser thinks', async (t) => {
  const way = new Estimate()
  way.conclude(1500)
  t.equal(way.allowedKbps, 1500, 'without a report nothing is known')
  way.hear({ lost: 0.2, roundTripMs: 40 })
  way.hear({ lost: 0 })
  way.conclude(1400)
  t.equal(way.allowedKbps, 1260, 'the worst counts')
  t.match(way, { lost: 0, roundTripMs: 40 })
  way.hear({ lost: 0.05 })
  way.conclude(1260)
  t.equal(way.allowedKbps, 1260, 'a few are mended by sending again')
  way.hear({ lost: 0 })
  way.conclude(1260)
  t.equal(way.allowedKbps, 1361)
  way.hear({ estimateKbps: 700 })
  way.conclude(1260)
  t.equal(way.allowedKbps, 630)
  way.hear({ estimateKbps: 700 })
  way.conclude(400)
  t.equal(way.allowedKbps, 680, 'a browser that gets little sees no further')
  for (let i = 0; i < 100; i++) {
    way.hear({ lost: 0 })
    way.conclude(600)
  }
  t.equal(way.allowedKbps, 3000)
  for (let i = 0; i < 100; i++) {
    way.hear({ lost: 0.9 })
    way.conclude(600)
  }
  t.equal(way.allowedKbps, 100)
})

void t.test('a viewer far below the others is moved down, told, and tried again ever more rarely', async (t) => {
  const place = new Place('1080p')
  t.equal(place.step(700, 1500, 0), undefined)
  t.equal(place.step(700, 1500, 2000), undefined)
  t.equal(place.step(800, 1500, 4000), undefined, 'only if it stays so')
  const poor = (from: number) => [0, 2000, 4000].map((ms) => place.step(400, 1500, from + ms)).at(-1)
  t.equal(poor(10_000), '720p')
  t.match(place.reason, /^720p instead of 1080p/)
  t.equal(poor(20_000), '480p')
  t.equal(poor(30_000), undefined, 'there is nothing below')
  t.equal(place.step(1500, 1500, 50_000), undefined)
  t.equal(place.step(1500, 1500, 90_000), '720p')
  t.equal(place.step(1500, 1500, 100_000), undefined)
  t.equal(place.step(1500, 1500, 200_000), '1080p')
  t.equal(place.reason, null)
  t.equal(poor(210_000), '720p')
  t.equal(place.step(1500, 1500, 260_000), undefined, 'it takes longer each time')
  place.wish('480p')
  t.match(place, { resolution: '480p', wanted: '480p', reason: null })
})
