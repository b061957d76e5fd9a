import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { createFlvReader } from '../../driver/flv.ts'
import type { AccessUnit } from '../../driver/types.ts'

const execute = promisify(execFile)

/** What ffmpeg makes of a generated picture, as FLV, with the time of day. */
async function encode(...args: string[]): Promise<Buffer> {
  const pattern = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30', '-frames:v', '12']
  const encoder = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '5', '-threads', '1', ...args]
  const { stdout } = await execute(
    'ffmpeg',
    ['-v', 'error', '-nostdin', ...pattern, '-vf', 'settb=1/1000,setpts=RTCTIME/1000', ...encoder, '-f', 'flv', 'pipe:1'],
    { encoding: 'buffer', maxBuffer: 1e7 },
  )
  return stdout
}

function read(stream: Buffer, size: number): AccessUnit[] {
  const units: AccessUnit[] = []
  const take = createFlvReader((unit) => units.push(unit))
  for (let at = 0; at < stream.length; at += size) take(stream.subarray(at, at + size))
  return units
}
/** The types of the network units in Annex B. */
const types = ({ data }: AccessUnit) =>
  Buffer.from(data)
    .toString('latin1')
    .split('\0\0\0\x01')
    .slice(1)
    .map((unit) => unit.charCodeAt(0) & 0x1f)

void t.test('ffmpeg’s FLV becomes pictures, with the parameter sets before each key frame, however it is cut', async (t) => {
  const before = Date.now()
  const stream = await encode()
  const whole = read(stream, stream.length)
  t.equal(whole.length, 12)
  t.same(
    whole.flatMap(({ isKey }, index) => (isKey ? [index] : [])),
    [0, 5, 10],
  )
  for (const unit of whole.filter(({ isKey }) => isKey)) t.same(types(unit).slice(0, 2), [7, 8])
  for (const unit of whole.filter(({ isKey }) => !isKey)) t.same(types(unit), [1])
  // On a busy machine ffmpeg fills gaps in its raster of frames.
  for (const { at } of whole)
    t.ok(at > before - 1000 && at < Date.now() + 1000, `its time is the time of day: ${at - before} ms after the start`)
  const [first, last] = [whole[0]?.at ?? 0, whole.at(-1)?.at ?? 0]
  t.ok(last > first)
  for (const size of [1, 7, 1000]) t.same(read(stream, size), whole)
})

void t.test('an encoder that repeats the parameter sets by itself gets none twice, delimiters are left out', async (t) => {
  const units = read(await encode('-bsf:v', 'dump_extra=freq=keyframe,h264_metadata=aud=insert'), 500)
  t.same(types(units[5] as AccessUnit), [7, 8, 5])
})

void t.test('what is no FLV, or lies about a length, is refused', async (t) => {
  t.throws(() => read(Buffer.alloc(100, 0xff), 100), /A tag of/)
  const stream = await encode()
  const at = stream.indexOf(Buffer.from([0x17, 1])) + 5
  stream.writeUInt32BE(1e6, at)
  t.throws(() => read(stream, stream.length), /ends behind/)
})
