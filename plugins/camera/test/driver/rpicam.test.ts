import t from 'tap'
import { createExec } from '../../../../core/process/exec.ts'
import { findRaspberryCameras, parseListing } from '../../driver/rpicam.ts'
import { children, Eye, exec, openLens } from './rig.ts'

// From the documentation of rpicam-apps 1.5 (https://www.raspberrypi.com/documentation/computers/camera_software.html), not captured: no
// Raspberry Pi was at hand.
const listing = `Available cameras
-----------------
0 : imx219 [3280x2464] (/base/soc/i2c0mux/i2c@1/imx219@10)
    Modes: 'SRGGB10_CSI2P' : 640x480 [206.65 fps - (1000, 752)/1280x960 crop]
                             1640x1232 [41.85 fps - (0, 0)/3280x2464 crop]
           'SRGGB8' : 640x480 [206.65 fps - (1000, 752)/1280x960 crop]
1 : imx708_wide [4608x2592 10-bit RGGB] (/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a)
    Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]
`

t.setTimeout(120_000)

void t.test('the cameras of a Raspberry Pi are read from what its program lists', (t) => {
  t.same(parseListing(listing), [
    { index: '0', sensor: 'imx219', height: 2464, path: '/base/soc/i2c0mux/i2c@1/imx219@10' },
    { index: '1', sensor: 'imx708_wide', height: 2592, path: '/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a' },
  ])
  t.same(parseListing('No cameras available!\n'), [])
  t.end()
})

void t.test('where neither the program of today nor the older one is installed, there is none', async (t) => {
  t.same(await findRaspberryCameras(createExec(['rpicam-hello', 'libcamera-hello'])), [])
})

void t.test('pictures go to ffmpeg through a named pipe', async (t) => {
  const said = { exitCode: 0, stdout: listing, stderr: '' }
  const [camera] = await findRaspberryCameras({
    ...exec,
    run: (program, ...rest) => (program === 'rpicam-hello' ? Promise.resolve(said) : exec.run(program, ...rest)),
  })
  t.match(camera, { kind: 'rpicam', name: 'Raspberry Pi camera imx219', resolutions: ['480p', '720p', '1080p'] })
  const directory = t.testdir()
  const input = await camera?.input({ resolution: '720p', target: { frameRate: 25, bitrateKbps: 2000 }, directory })
  t.match(input?.feeder, { program: 'rpicam-vid', pipe: `${directory}/pictures` })
  const text = input?.feeder?.args.join(' ') ?? ''
  t.match(text, /--camera 0 .*--codec yuv420 --width 1280 --height 720 --framerate 25/)
  t.match(text, new RegExp(`--output ${directory}/pictures$`))
  t.match(input?.args.join(' '), `-f rawvideo -pixel_format yuv420p -video_size 1280x720 -framerate 25 -i ${directory}/pictures`)
  // the next one finds the pipe of a capture that was killed
  await t.resolves(
    camera?.input({ resolution: '720p', target: { frameRate: 25, bitrateKbps: 2000 }, directory }) as Promise<unknown>,
  )
})

void t.test('with ffmpeg in the place of rpicam-vid, which does not run here, the picture arrives', async (t) => {
  const said = { exitCode: 0, stdout: listing, stderr: '' }
  const lens = openLens(
    t,
    {},
    {
      run: (program, ...rest) => (program === 'rpicam-hello' ? Promise.resolve(said) : exec.run(program, ...rest)),
      start(program, args, options) {
        if (program !== 'rpicam-vid') return exec.start(program, args, options)
        const size = `${args[args.indexOf('--width') + 1]}x${args[args.indexOf('--height') + 1]}`
        const pattern = `testsrc2=size=${size}:rate=30,realtime,format=yuv420p`
        return exec.start(
          'ffmpeg',
          ['-v', 'error', '-nostdin', '-f', 'lavfi', '-i', pattern, '-f', 'rawvideo', '-y', args.at(-1) ?? ''],
          options,
        )
      },
    },
  )
  const eye = new Eye()
  const feed = await lens.watch('720p', eye)
  await eye.more(20)
  const { at } = await lens.snapshot({ quality: 50, signal: AbortSignal.timeout(30_000) })
  t.ok(eye.units.some((unit) => unit.isKey && unit.at === at))
  t.match(lens.status(), { camera: { kind: 'rpicam' }, capturing: true, encoder: 'libx264' })
  t.equal((await children()).length, 2)
  for (const pid of await children()) process.kill(pid, 'SIGKILL')
  await eye.until(() => eye.resumes === 1)
  feed.close()
  await lens.close()
  t.same(await children(), [])
  const alone = openLens(
    t,
    {},
    {
      run: (program, ...rest) => (program === 'rpicam-hello' ? Promise.resolve(said) : exec.run(program, ...rest)),
      start: (program, args, options) =>
        program === 'rpicam-vid' ? exec.start('rpicam-hello', args, options) : exec.start(program, args, options),
    },
  )
  await t.rejects(alone.watch('720p', new Eye()), { code: 'CAMERA_TOOL_MISSING', mend: 'sudo apt-get install rpicam-apps' })
})
