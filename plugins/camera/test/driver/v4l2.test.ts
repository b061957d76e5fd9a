import { open } from 'node:fs/promises'
import t from 'tap'
import { failureOf } from '../../driver/diagnose.ts'
import type { Camera } from '../../driver/source.ts'
import { choose, findDevices, hasConnectedSensor, holderOf, parseFormats } from '../../driver/v4l2.ts'

// Of a Logitech C920, as ffmpeg's wiki shows it (https://trac.ffmpeg.org/wiki/Capture/Webcam), and in ffmpeg's form for sizes between bounds.
const c920 = `[video4linux2,v4l2 @ 0x1f8f460] Raw       :     yuyv422 :     YUV 4:2:2 (YUYV) : 640x480 160x90 1280x720 1920x1080
[video4linux2,v4l2 @ 0x1f8f460] Compressed:        h264 :                H.264 : 640x480 1280x720 1920x1080
[video4linux2,v4l2 @ 0x1f8f460] Compressed:       mjpeg :                MJPEG : 640x480 1280x720 1920x1080
[video4linux2,v4l2 @ 0x1f8f460] Compressed: Unsupported :                 VP8F : 640x480
/dev/video0: Immediate exit requested
`
const bounds = '[video4linux2,v4l2 @ 0x55d] Raw       :     yuyv422 :           YUYV 4:2:2 : {32-2592, 2}x{32-1944, 2}\n'

void t.test('formats and sizes are read from what ffmpeg lists', (t) => {
  const formats = parseFormats(c920)
  t.same(
    formats.map(({ name, isRaw }) => [name, isRaw]),
    [
      ['yuyv422', true],
      ['h264', false],
      ['mjpeg', false],
    ],
  )
  t.same(formats[1]?.sizes, [
    [640, 480],
    [1280, 720],
    [1920, 1080],
  ])
  t.same(parseFormats(bounds)[0]?.sizes, [
    [848, 480],
    [1280, 720],
    [1920, 1080],
  ])
  t.same(parseFormats('/dev/video0: Permission denied'), [])
  t.end()
})

void t.test('of formats the camera’s own H.264 is taken first, then JPEG, for small pictures what is raw', (t) => {
  const formats = parseFormats(c920)
  t.match(choose(formats, 720), { name: 'h264', size: [1280, 720] })
  const older = formats.filter(({ name }) => name !== 'h264')
  t.match(choose(older, 720), { name: 'mjpeg', size: [1280, 720] })
  t.match(choose(older, 480), { name: 'yuyv422', size: [640, 480] })
  t.match(choose(parseFormats(bounds), 1080), { name: 'yuyv422', size: [1920, 1080] })
  t.end()
})

void t.test('a camera that has no size as large gives its largest, and H.264 of another size is not taken', (t) => {
  const small = [
    { name: 'h264', isRaw: false, sizes: [[800, 600]] as const },
    { name: 'yuyv422', isRaw: true, sizes: [[800, 600]] as const },
  ]
  t.match(choose(small, 1080), { name: 'yuyv422', size: [800, 600] })
  t.equal(choose([], 720), undefined)
  const depth = { name: 'gray16le', isRaw: true, sizes: [[848, 480]] as const }
  t.match(choose([depth, { name: 'yuyv422', isRaw: true, sizes: [[640, 480]] as const }], 480), { name: 'yuyv422' })
  t.end()
})

type Nodes = Record<string, { name: string; dev: string; index: string; udev?: string }>
/** What Linux tells of these, as files. */
const told = (nodes: Nodes) => ({
  sys: Object.fromEntries(
    Object.entries(nodes).map(([node, { name, dev, index }]) => [
      node,
      { name: `${name}\n`, dev: `${dev}\n`, index: `${index}\n` },
    ]),
  ),
  udev: Object.fromEntries(Object.values(nodes).flatMap(({ dev, udev }) => (udev ? [[`c${dev}`, udev]] : []))),
})
const within = (directory: string) => ({ sys: `${directory}/sys`, udev: `${directory}/udev` })

void t.test('only what gives pictures is a camera, under the name it keeps at every socket', async (t) => {
  const found = await findDevices(
    within(
      t.testdir(
        told({
          video10: {
            name: 'Other webcam',
            dev: '81:10',
            index: '0',
            udev: 'S:v4l/by-path/pci-0000:00:14.0-usb-0:2:1.0-video-index0\nE:ID_V4L_CAPABILITIES=:capture:\n',
          },
          video2: {
            name: 'HD Pro Webcam C920',
            dev: '81:2',
            index: '0',
            udev:
              'S:v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0\nS:v4l/by-id/usb-046d_HD_Pro_Webcam_C920_5A3F-video-index0\n' +
              'E:ID_V4L_CAPABILITIES=:capture:\n',
          },
          video3: { name: 'HD Pro Webcam C920', dev: '81:3', index: '1', udev: 'E:ID_V4L_CAPABILITIES=:\n' },
          video4: { name: 'Capture card out', dev: '81:4', index: '0', udev: 'E:ID_V4L_CAPABILITIES=:video_output:\n' },
          video11: {
            name: 'bcm2835-codec-encode',
            dev: '81:11',
            index: '0',
            udev: 'E:ID_V4L_CAPABILITIES=:capture:video_output:\n',
          },
          video20: { name: 'rp1-cfe-csi2_ch0', dev: '81:20', index: '0', udev: 'E:ID_V4L_CAPABILITIES=:capture:\n' },
          'v4l-subdev0': { name: 'imx708', dev: '81:30', index: '0' },
        }),
      ),
    ),
  )
  t.same(found, [
    { path: '/dev/video2', id: 'usb-046d_HD_Pro_Webcam_C920_5A3F-video-index0', name: 'HD Pro Webcam C920' },
    { path: '/dev/video10', id: 'pci-0000:00:14.0-usb-0:2:1.0-video-index0', name: 'Other webcam' },
  ])
})

void t.test('without udev the first node of a camera is it; without cameras there is none', async (t) => {
  const found = await findDevices(
    within(
      t.testdir(
        told({ video0: { name: 'Webcam', dev: '81:0', index: '0' }, video1: { name: 'Webcam', dev: '81:1', index: '1' } }),
      ),
    ),
  )
  t.same(found, [{ path: '/dev/video0', id: 'video0', name: 'Webcam' }])
  t.same(await findDevices({ sys: '/nowhere' }), [])
})

void t.test('a Raspberry Pi’s connector shows that a camera is at it', async (t) => {
  const nodes = { video0: { name: 'rp1-cfe-csi2_ch0', dev: '81:0', index: '0' } }
  t.equal(await hasConnectedSensor(within(t.testdir(told(nodes))).sys), true)
  t.equal(await hasConnectedSensor('/nowhere'), false)
})

void t.test('why a camera cannot be opened is in what ffmpeg says, version 5.1 and 7.1', async (t) => {
  const camera = { device: '/dev/null', name: 'Cam', kind: 'v4l2' } as Camera
  const opening = (why: string) => [
    `[video4linux2,v4l2 @ 0x557fa6380880] Cannot open video device /dev/null: ${why}\n/dev/null: ${why}`,
    `[video4linux2,v4l2 @ 0x55555cedc200] Cannot open video device /dev/null: ${why}\n[in#0 @ 0x55555cedbf40] Error opening input: ${why}`,
  ]
  for (const [why, code] of [
    ['Permission denied', 'CAMERA_PERMISSION'],
    ['No such file or directory', 'CAMERA_UNPLUGGED'],
  ] as const)
    for (const said of opening(why)) t.equal((await failureOf(camera, said)).code, code, said)
})

void t.test('who has a file open is found by name', async (t) => {
  const path = `${t.testdir({ device: '' })}/device`
  t.equal(await holderOf(path), undefined)
  const file = await open(path)
  t.teardown(() => file.close())
  t.match(await holderOf(path), /node|MainThread/)
})
