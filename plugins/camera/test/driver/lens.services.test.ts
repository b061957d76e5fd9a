import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import type { Exec } from '../../driver/types.ts'
import { children, Eye, exec, openLens, programsWith, readStrip, sizeOf, until } from './rig.ts'

t.setTimeout(240_000)
const signal = () => AbortSignal.timeout(30_000)

void t.test('with no camera it says so, to who watches, who wants a snapshot and in the status', async (t) => {
  const lens = openLens(t, { camera: 'usb-that-is-not-there' })
  const failure = { code: 'CAMERA_NOT_FOUND', sentence: /not there/ }
  await t.rejects(lens.watch('720p', new Eye()), failure)
  await t.rejects(lens.snapshot({ quality: 80, signal: signal() }), failure)
  t.match(lens.status(), { camera: null, capturing: false, problem: failure })
})

void t.test('a missing program is named with its package', async (t) => {
  const lost = (program: string) => (program === 'ffmpeg' ? 'ffmpeg-that-nobody-installed' : program)
  const { createExec } = await import('../../../../core/process/exec.ts')
  const real = createExec([lost('ffmpeg')])
  const without: Exec = {
    run: (program, ...rest) => real.run(lost(program), ...rest),
    start: (program, ...rest) => real.start(lost(program), ...rest),
  }
  const lens = openLens(t, { simulated: true }, without)
  const failure = { code: 'CAMERA_TOOL_MISSING', sentence: /not installed.*package ffmpeg/, mend: 'sudo apt-get install ffmpeg' }
  await t.rejects(lens.watch('720p', new Eye()), failure)
  await t.rejects(lens.snapshot({ quality: 80, signal: signal() }), failure)
  t.match(lens.status(), { problem: failure })
})

void t.test('an encoder that does not work here is no encoder', async (t) => {
  const lens = openLens(t, { simulated: true, encoder: 'h264_nvenc' })
  await t.rejects(lens.watch('720p', new Eye()), { code: 'CAMERA_NO_ENCODER', sentence: /h264_nvenc/ })
})

void t.test('an encoder that hangs is none either', async (t) => {
  const hanging: Exec = {
    ...exec,
    run: (program, args, options) => exec.run(program, args, args.includes('libx264') ? { ...options, timeoutMs: 1 } : options),
  }
  const lens = openLens(t, { simulated: true, encoder: 'libx264' }, hanging)
  await t.rejects(lens.watch('720p', new Eye()), { code: 'CAMERA_NO_ENCODER', sentence: /libx264/ })
})

void t.test('an ffmpeg that refuses to be told the frame rate, as newer ones do, is given it in another way', async (t) => {
  const told: (readonly string[])[] = []
  const newer: Exec = {
    run: async (program, args, options) =>
      args.includes('-r') ? { exitCode: 1, stdout: '', stderr: 'This is contradictory.' } : exec.run(program, args, options),
    start: (program, args, options) => {
      told.push(args)
      return exec.start(program, args, options)
    },
  }
  const lens = openLens(t, { simulated: true, encoder: 'libx264' }, newer)
  lens.retarget({ frameRate: 20, bitrateKbps: 1000 })
  await lens.watch('480p', new Eye())
  t.equal(told.length, 1)
  t.notOk(told[0]?.includes('-r'))
  t.ok(told[0]?.includes('fps=20'))
})

void t.test('one program serves all who watch, and ends when nobody has for a while', async (t) => {
  const lens = openLens(t, { simulated: true })
  t.match(lens.cameras(), [{ id: 'simulated', kind: 'simulated', name: /^Simulated/, resolutions: ['480p', '720p', '1080p'] }])
  const [first, late] = [new Eye(), new Eye()]
  const feed = await lens.watch('480p', first)
  await first.more(40)

  // whoever comes late gets the pictures since the last key frame at once
  const joining = lens.watch('480p', late)
  t.ok(late.units[0]?.isKey)
  t.equal(late.units.at(-1), first.units.at(-1))
  const second = await joining
  await late.more(10)
  t.match(lens.status(), { capturing: true, encoder: 'libx264', starts: 1, problem: null, outputs: [{ resolution: '480p' }] })

  const units = first.units.slice()
  const seen = await readStrip(units)
  t.equal(seen.length, units.length)
  for (const [index, { number }] of seen.entries()) t.equal(number, (seen[0]?.number ?? 0) + index, 'no picture is lost or twice')
  for (const [index, { time }] of seen.entries())
    t.equal(time, (units[index]?.at ?? 0) % 65_536, 'its time is that of the exposure')
  const keys = units.filter(({ isKey }) => isKey).map(({ at }) => at)
  for (const [index, at] of keys.entries()) if (index > 0) t.ok(at - (keys[index - 1] ?? 0) < 1500, 'a key frame each second')

  feed.close()
  const before = first.units.length
  await late.more(10)
  t.equal(first.units.length, before, 'whoever has left is shown nothing')
  second.close()
  t.ok(lens.status().capturing, 'it waits for somebody to come back')
  await until(() => !lens.status().capturing)
  await until(async () => (await children()).length === 0)
})

void t.test('a snapshot: of the stream while there is one, of its own otherwise', async (t) => {
  const lens = openLens(t, { simulated: true })
  const [low, high] = await Promise.all([
    lens.snapshot({ resolution: '480p', quality: 10, signal: signal() }),
    lens.snapshot({ resolution: '480p', quality: 95, signal: signal() }),
  ])
  t.equal(await sizeOf(low.jpeg), '854x480')
  t.ok(low.jpeg.length < high.jpeg.length)
  t.ok(Math.abs(Date.now() - high.at) < 20_000)
  t.equal(lens.status().capturing, false)

  const eye = new Eye()
  const feed = await lens.watch('720p', eye)
  await eye.more(10)
  const shot = await lens.snapshot({ quality: 80, signal: signal() })
  t.equal(await sizeOf(shot.jpeg), '1280x720')
  t.ok(eye.units.some(({ at, isKey }) => isKey && at === shot.at))
  await eye.more(10)
  t.match(lens.status(), { starts: 1, outputs: [{ resolution: '720p' }] })
  const units = eye.units.slice()
  const seen = await readStrip(units)
  t.equal((seen.at(-1)?.number ?? 0) - (seen[0]?.number ?? 0), units.length - 1, 'the stream went on')
  const aborted = new AbortController()
  aborted.abort(new Error('no longer wanted'))
  await t.rejects(lens.snapshot({ quality: 80, signal: aborted.signal }), /no longer wanted/)
  feed.close()
})

void t.test('another size is made beside the first one; until then the nearest is shown', async (t) => {
  const lens = openLens(t, { simulated: true })
  const [small, large] = [new Eye(), new Eye()]
  const feeds = [await lens.watch('480p', small), await lens.watch('1080p', large)]
  t.equal(large.units[0], small.units[0])
  t.equal(lens.status().starts, 1)
  await large.until(() => lens.status().outputs.length === 2)
  await Promise.all([small.more(30), large.more(30)])
  t.match(lens.status(), { starts: 2, outputs: [{ resolution: '480p' }, { resolution: '1080p' }] })
  t.same([small.problems, large.problems], [[], []], 'that it was started anew is no failure')
  const key = large.units.findLast(({ isKey }) => isKey)
  t.equal(await sizeOf((await lens.snapshot({ quality: 50, signal: signal() })).jpeg), '1920x1080')
  t.not(
    key,
    small.units.findLast(({ isKey }) => isKey),
  )
  for (const feed of feeds) feed.close()
})

void t.test('frame rate and bit rate change for all', async (t) => {
  const lens = openLens(t, { simulated: true })
  lens.retarget({ frameRate: 30, bitrateKbps: 3000 })
  const eye = new Eye()
  const feed = await lens.watch('720p', eye)
  lens.retarget({ frameRate: 15, bitrateKbps: 500 })
  await eye.until(() => lens.status().starts === 2 && eye.units.length > 100)
  const from = eye.units.length
  await eye.more(60)
  const late = eye.units.slice(from)
  const steps = late.map(({ at }, index) => at - (late[index - 1]?.at ?? at - 67)).toSorted((a, b) => a - b)
  t.ok((steps[30] ?? 0) > 50, 'fifteen a second')
  const kilobits = (units: typeof late) => (units.reduce((sum, { data }) => sum + data.length, 0) * 8) / 1000 / units.length
  t.ok(kilobits(late) < kilobits(eye.units.slice(0, 60)))
  feed.close()
})

void t.test('a program that is killed is started again, and whoever watches stays', async (t) => {
  const lens = openLens(t, { simulated: true })
  const eye = new Eye()
  const feed = await lens.watch('480p', eye)
  await until(async () => (await children()).length > 0)
  for (const pid of await children()) process.kill(pid, 'SIGKILL')
  await eye.until(() => eye.resumes === 1)
  t.match(eye.problems, [{ code: 'CAMERA_FAILED', sentence: /started again/ }])
  await eye.more(20)
  t.ok(eye.units[eye.resumedAt]?.isKey)
  await until(() => lens.status().problem === null)
  feed.close()
})

void t.test('one that hangs is ended and started again', async (t) => {
  const lens = openLens(t, { simulated: true })
  const eye = new Eye()
  const feed = await lens.watch('480p', eye)
  for (const pid of await children()) process.kill(pid, 'SIGSTOP')
  await eye.until(() => eye.resumes === 1)
  t.match(eye.problems, [{ code: 'CAMERA_FAILED', sentence: /gives no picture/ }])
  feed.close()
})

void t.test('closing it ends everything, with those who wait', async (t) => {
  const lens = openLens(t, { simulated: true })
  const eye = new Eye()
  await lens.watch('480p', eye)
  await lens.close()
  t.same(await children(), [])
  await t.rejects(lens.watch('480p', eye))
})

void t.test('nothing that it started outlives a process that is killed', async (t) => {
  const script = `
    import { exec } from ${JSON.stringify(import.meta.resolve('./rig.ts'))}
    import { createLens } from ${JSON.stringify(import.meta.resolve('../../driver/lens.ts'))}
    const lens = createLens(exec, { camera: '', network: [], simulated: true, encoder: 'libx264' })
    await lens.watch('480p', { unit() {}, interrupted() {}, resumed() {} })
    console.log('watching')`
  const hooks = import.meta.resolve('../../../../scripts/strip-types.mjs')
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = spawn(process.execPath, [`--import=${hooks}`, '--input-type=module', '--eval', script], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const started = await children(child.pid)
  t.ok(started.length > 0)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await until(async () => {
    const running = await programsWith('ffmpeg')
    return started.every((pid) => !running.includes(pid))
  })
})
