/** What a viewer's RTCP packets say of how the picture arrives (RFC 3550, RFC 4585, draft-alvestrand-rmcat-remb). */
export interface Report {
  /** Of the packets since its last report, 0-1. */
  lost?: number
  /** Milliseconds to the viewer and back. */
  roundTripMs?: number
  /** What its browser thinks the way could carry. */
  estimateKbps?: number
  /** It cannot go on without a key frame. */
  wantsKeyFrame?: true
}

/** Seconds from 1900, as NTP counts, to 1970. */
const ntpEpoch = 2_208_988_800

/** Reads a compound packet about the stream `ssrc`; of what is malformed the rest is left out. `now`: milliseconds since the epoch. */
export function readReports(packet: Buffer, ssrc: number, now: number): Report {
  const report: Report = {}
  for (let at = 0; at + 8 <= packet.length; ) {
    const [first = 0, type = 0] = packet.subarray(at, at + 2)
    const end = at + 4 * (packet.readUInt16BE(at + 2) + 1)
    if (first >> 6 !== 2 || end > packet.length) break
    const count = first & 31
    if (type === 201 || type === 200) readBlocks(packet.subarray(at + (type === 201 ? 8 : 28), end), count, ssrc, now, report)
    if (type === 206 && (count === 1 || count === 4)) report.wantsKeyFrame = true
    if (type === 206 && count === 15) readEstimate(packet.subarray(at, end), report)
    at = end
  }
  return report
}

function readBlocks(blocks: Buffer, count: number, ssrc: number, now: number, report: Report): void {
  for (let i = 0; i < count && 24 * (i + 1) <= blocks.length; i++) {
    const block = blocks.subarray(24 * i, 24 * (i + 1))
    if (block.readUInt32BE(0) !== ssrc) continue
    report.lost = block.readUInt8(4) / 256
    const [sentAt, heldFor] = [block.readUInt32BE(16), block.readUInt32BE(20)]
    if (sentAt === 0) continue
    // Both in units of 1/65,536 s, which begin anew every 18 hours.
    const middle = Math.round((now / 1000 + ntpEpoch) * 65_536) % 2 ** 32
    const passed = (middle - sentAt - heldFor) % 2 ** 32
    const units = passed < -(2 ** 31) ? passed + 2 ** 32 : passed
    report.roundTripMs = Math.max(0, Math.round((units / 65.536) * 10) / 10)
  }
}

function readEstimate(packet: Buffer, report: Report): void {
  if (packet.length < 20 || packet.toString('latin1', 12, 16) !== 'REMB') return
  const word = packet.readUInt32BE(16) & 0xff_ff_ff
  report.estimateKbps = Math.round(((word & 0x3_ff_ff) * 2 ** (word >> 18)) / 1000)
}
