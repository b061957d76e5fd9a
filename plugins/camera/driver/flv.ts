import type { AccessUnit } from './types.ts'

/** No picture is as large. */
const MAX_TAG = 4 * 1024 * 1024
const [HEADER, TAG_HEADER, BACK_POINTER] = [13, 11, 4]
const VIDEO = 9
const [SPS, AUD] = [7, 9]
/** A time that is further off is no time of day. */
const PLAUSIBLE_MS = 10_000

/** Milliseconds after which the times of a stream begin anew. */
const PERIOD = 2 ** 31

const START = Buffer.from([0, 0, 0, 1])

/**
 * Takes a stream of FLV apart, which says of every picture how long it is and when it was taken: so a picture is complete when its last
 * byte is there, however it was cut on its way. `onUnit` gets each; the returned function takes pieces of the stream and throws when they
 * are none of it. The times of the stream are those of the day, as far as its 31 bits of milliseconds go.
 */
export function createFlvReader(onUnit: (unit: AccessUnit) => void): (piece: Uint8Array) => void {
  let rest: Buffer = Buffer.alloc(0)
  let skip = HEADER
  const clock = createClock()
  let parameters: Buffer = Buffer.alloc(0)

  const onTag = (time: number, body: Buffer) => {
    // H.264 as advanced video coding
    if (body.length < 5 || (body.readUInt8(0) & 0x0f) !== 7) return
    const content = body.subarray(5)
    const type = body.readUInt8(1)
    if (type === 0) parameters = parameterSets(content)
    if (type !== 1) return
    const isKey = body.readUInt8(0) >> 4 === 1
    const units = networkUnits(content)
    const lead = isKey && !units.some((unit) => typeOf(unit) === SPS) ? [parameters] : []
    const data = Buffer.concat([...lead, ...units.filter((unit) => typeOf(unit) !== AUD).flatMap((unit) => [START, unit])])
    onUnit({ data, isKey, at: clock(time) })
  }

  return (piece) => {
    rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece])
    for (;;) {
      if (skip > 0) {
        const skipped = Math.min(skip, rest.length)
        rest = rest.subarray(skipped)
        skip -= skipped
      }
      if (rest.length < TAG_HEADER) return
      const size = rest.readUIntBE(1, 3)
      if (size > MAX_TAG) throw new Error(`A tag of ${size} bytes.`)
      if (rest.length < TAG_HEADER + size) return
      const time = rest.readUIntBE(4, 3) + (rest.readUInt8(7) & 0x7f) * 2 ** 24
      if (rest.readUInt8(0) === VIDEO) onTag(time, rest.subarray(TAG_HEADER, TAG_HEADER + size))
      rest = rest.subarray(TAG_HEADER + size)
      skip = BACK_POINTER
    }
  }
}

const typeOf = (unit: Buffer): number => (unit[0] ?? 0) & 0x1f

/** Units of a picture, each behind its length. */
function networkUnits(content: Buffer): Buffer[] {
  const units: Buffer[] = []
  for (let at = 0; at + 4 <= content.length; ) {
    const end = at + 4 + content.readUInt32BE(at)
    if (end > content.length) throw new Error('A unit that ends behind its picture.')
    if (end > at + 4) units.push(content.subarray(at + 4, end))
    at = end
  }
  return units
}

/** Of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15), in Annex B. */
function parameterSets(record: Buffer): Buffer {
  const sets: Buffer[] = []
  if (record.length < 7) return Buffer.alloc(0)
  let at = 5
  // the sequence's, then the pictures'
  for (const mask of [0x1f, 0xff]) {
    const count = record.readUInt8(at++) & mask
    for (let i = 0; i < count; i++) {
      const length = record.readUInt16BE(at)
      sets.push(START, record.subarray(at + 2, at + 2 + length))
      at += 2 + length
    }
  }
  return Buffer.concat(sets)
}

/** What the times of a stream are by the clock of this machine; of a clock that is another, as if the picture that came soonest had come at once. */
function createClock(): (time: number) => number {
  let ahead: number | undefined
  return (time) => {
    const now = Date.now()
    const behind = (((now - time) % PERIOD) + PERIOD) % PERIOD
    const at = now - (behind > PERIOD / 2 ? behind - PERIOD : behind)
    if (Math.abs(now - at) < PLAUSIBLE_MS) return at
    const gap = now - time
    const isOther = ahead === undefined || gap < ahead || gap - ahead > PLAUSIBLE_MS
    // The two clocks drift apart.
    ahead = isOther ? gap : (ahead as number) + (gap - (ahead as number)) / 1000
    return Math.round(time + ahead)
  }
}
