import t from 'tap'
import { children, Eye, openLens, programsWith, sizeOf, until } from './rig.ts'
import { startRtspServer } from './rtsp-server.ts'

t.setTimeout(240_000)
const signal = () => AbortSignal.timeout(30_000)

void t.test(
  'a camera of the network that gives H.264 is passed on as it is; its password stands in no list of processes',
  async (t) => {
    const server = await startRtspServer({ credentials: 'user:S3cret' })
    t.teardown(() => server.close())
    const lens = openLens(t, { network: [{ name: 'Door', url: server.url }] })
    const [camera] = lens.cameras()
    t.match(camera, { kind: 'rtsp', name: 'Door' })
    t.notMatch(JSON.stringify(camera), 'S3cret')
    const eye = new Eye()
    const feed = await lens.watch('720p', eye)
    await eye.more(40)
    t.match(lens.status(), { encoder: 'none', starts: 1 })
    t.same(await programsWith('S3cret'), [])
    t.ok(eye.units[0]?.isKey)
    const times = eye.units.map(({ at }) => at)
    t.same(
      times,
      times.toSorted((a, b) => a - b),
    )
    t.equal(await sizeOf((await lens.snapshot({ quality: 80, signal: signal() })).jpeg), '1280x720')

    await server.gone()
    await eye.until(() => eye.problems.length > 0)
    t.match(eye.problems, [{ code: 'CAMERA_UNREACHABLE', sentence: /Door/ }])
    await server.back()
    await eye.until(() => eye.resumes === 1)
    await eye.more(20)
    t.equal(eye.problems.length, 1, 'that it is still away is told once')
    feed.close()
  },
)

void t.test('what it does not give is made of it, and a snapshot without a stream is taken', async (t) => {
  const server = await startRtspServer()
  t.teardown(() => server.close())
  const lens = openLens(t, { network: [{ name: 'Door', url: server.url }] })
  t.equal(await sizeOf((await lens.snapshot({ quality: 80, signal: signal() })).jpeg), '1280x720')
  const eye = new Eye()
  const feed = await lens.watch('480p', eye)
  await eye.more(10)
  t.equal(lens.status().encoder, 'libx264')
  t.equal(await sizeOf((await lens.snapshot({ quality: 80, signal: signal() })).jpeg), '854x480')
  feed.close()
})

void t.test('another size of it is made by a second connection, before the first one ends', async (t) => {
  const server = await startRtspServer()
  t.teardown(() => server.close())
  const lens = openLens(t, { network: [{ name: 'Door', url: server.url }] })
  const [large, small] = [new Eye(), new Eye()]
  const feeds = [await lens.watch('720p', large), await lens.watch('480p', small)]
  await large.until(() => lens.status().outputs.length === 2)
  await Promise.all([large.more(30), small.more(30)])
  t.match(lens.status(), { starts: 2, encoder: 'libx264', outputs: [{ resolution: '480p' }, { resolution: '720p' }] })
  t.same([large.problems, small.problems], [[], []])
  t.equal(server.most(), 2)
  for (const feed of feeds) feed.close()
  await until(() => !lens.status().capturing)
  await until(async () => (await children()).length === 1)
})

void t.test('H.264 that no browser shows is encoded anew', async (t) => {
  const server = await startRtspServer({ encoder: ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '2', '-g', '30'] })
  t.teardown(() => server.close())
  const lens = openLens(t, { network: [{ name: 'Door', url: server.url }] })
  const eye = new Eye()
  const feed = await lens.watch('720p', eye)
  t.equal(lens.status().encoder, 'libx264')
  feed.close()
})

void t.test('a refused password and an absent camera are told, without what is secret', async (t) => {
  const server = await startRtspServer({ credentials: 'user:right' })
  t.teardown(() => server.close())
  const wrong = server.url.replace('right', 'wr0ng')
  const lens = openLens(t, { network: [{ name: 'Door', url: wrong }] })
  const failed = async () => {
    const error: unknown = await lens.watch('720p', new Eye()).then(
      () => undefined,
      (failure: unknown) => failure,
    )
    t.notMatch(`${String(error)} ${String((error as Error).cause)} ${JSON.stringify(lens.status())}`, /wr0ng|user:/)
    return error
  }
  t.match(await failed(), { code: 'CAMERA_UNREACHABLE', sentence: /refused the user or the password/ })
  await server.gone()
  t.match(await failed(), { code: 'CAMERA_UNREACHABLE', sentence: /does not answer/ })
  await until(() => !lens.status().capturing)
})

void t.test('only an address of RTSP is one', (t) => {
  for (const url of [
    'http://camera/',
    'rtsps://camera/',
    'file:///etc/passwd',
    "rtsp://camera/'\nfile /etc/passwd",
    'rtsp://camera/a b',
    'rtsp://',
  ])
    t.throws(() => openLens(t, { network: [{ name: 'Door', url }] }), /not one of RTSP/)
  t.end()
})
