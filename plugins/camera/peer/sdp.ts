import { Refusal } from './refusal.ts'

/** Characters of a description that is looked at; browsers' have 2,000 to 8,000. */
const mostCharacters = 20_000
const most = { lines: 600, media: 4 }

/** What is needed of the description of a viewer. */
export interface Description {
  /** The description without its candidates: these come one by one, each judged. */
  readonly sdp: string
  readonly candidates: readonly string[]
  /** The line of media that takes a picture. */
  readonly video: { readonly mid: string; readonly payloadType: number; readonly fmtp: string }
}

const bad = (what: string) => new Refusal('CAMERA_BAD_SIGNAL', `The description cannot be used: ${what}.`)

/** Reads a viewer's offer or answer. Throws a Refusal. */
export function readDescription(text: string): Description {
  if (text.length > mostCharacters) throw bad(`it has more than ${mostCharacters} characters`)
  if (/[^\r\n\t\x20-\x7e]/.test(text)) throw bad('it has characters that belong in none')
  const lines = text.split(/\r?\n/).filter((line) => line !== '')
  if (lines.length > most.lines) throw bad(`it has more than ${most.lines} lines`)
  if (lines[0] !== 'v=0' || !lines.every((line) => /^[a-z]=/.test(line))) throw bad('it is not SDP')
  const sections = lines.reduce<string[][]>(
    (all, line) => {
      if (line.startsWith('m=')) all.push([])
      all.at(-1)?.push(line)
      return all
    },
    [[]],
  )
  const [session = [], ...media] = sections
  if (media.length > most.media) throw bad('it has too many media')
  if (media.some(([line = '']) => !/^m=(audio|video) /.test(line)))
    throw bad('it asks for something else than a picture (data channels are not offered)')
  const video = media.find(([line = '']) => line.startsWith('m=video '))
  if (!video) throw bad('it has no video')
  for (const name of ['ice-ufrag', 'ice-pwd', 'fingerprint'])
    if (!value(video, name) && !value(session, name)) throw bad(`it has no ${name}`)
  const mid = value(video, 'mid')
  if (!mid || !/^[\w-]{1,32}$/.test(mid)) throw bad('its video has no mid')
  const isCandidate = (line: string) => /^a=(candidate:|end-of-candidates)/.test(line)
  return {
    sdp: `${lines.filter((line) => !isCandidate(line)).join('\r\n')}\r\n`,
    candidates: lines.filter((line) => line.startsWith('a=candidate:')),
    video: { mid, ...h264Of(video) },
  }
}

function value(section: readonly string[], name: string): string | undefined {
  return section.find((line) => line.startsWith(`a=${name}:`))?.slice(name.length + 3)
}

/** Of what the browser takes, the H.264 that comes nearest to what encoders make: baseline, packetized in mode 1. */
function h264Of(video: readonly string[]): { payloadType: number; fmtp: string } {
  const listed = new Set(video[0]?.split(' ').slice(3))
  const types = video.flatMap((line) => {
    const [, type = ''] = /^a=rtpmap:(\d{1,3}) H264\/90000$/i.exec(line) ?? []
    return listed.has(type) && Number(type) < 128 ? [type] : []
  })
  const offers = types.map((type) => ({ payloadType: Number(type), fmtp: fmtpOf(video, type) }))
  const [best] = offers
    .filter(({ fmtp }) => /packetization-mode=1/.test(fmtp))
    .sort((one, other) => Number(isBaseline(other.fmtp)) - Number(isBaseline(one.fmtp)))
  const isRejected = /^m=video 0 /.test(video[0] ?? '')
  if (!best || isRejected)
    throw new Refusal(
      'CAMERA_NO_H264',
      'This browser takes no H.264, which is all that the camera is sent in. Use another browser.',
    )
  return best
}

const fmtpOf = (video: readonly string[], type: string) =>
  video.find((line) => line.startsWith(`a=fmtp:${type} `))?.slice(`a=fmtp:${type} `.length) ?? ''
const isBaseline = (fmtp: string) => /profile-level-id=42/i.test(fmtp)

/** What this machine says: without candidates, which follow, and without any address of it. */
export function withoutAddresses(sdp: string): string {
  return sdp
    .split('\r\n')
    .filter((line) => !/^a=(candidate:|end-of-candidates)/.test(line))
    .map((line) => line.replace(/^c=IN IP[46] .*$/, 'c=IN IP4 0.0.0.0').replace(/^m=video \d+ /, 'm=video 9 '))
    .map((line) => line.replace(/^(o=\S+ \d+ \d+ IN IP)[46] .*$/, '$14 127.0.0.1'))
    .join('\r\n')
}
