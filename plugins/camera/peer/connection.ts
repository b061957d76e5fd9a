import { randomInt } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import type * as WebRtc from 'node-datachannel'
import { mayDial, parseCandidate, type Reach, told } from './addresses.ts'
import { Refusal } from './refusal.ts'
import { type Report, readReports } from './rtcp.ts'
import { readDescription, withoutAddresses } from './sdp.ts'

/** What node-datachannel brings; its machine code is loaded only when somebody watches. */
export type Library = typeof WebRtc

const clockRate = 90_000
const ownType = { payloadType: 96, fmtp: 'profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1' }
/** Bytes of a packet's content, and packets that are kept to be sent again. */
const packet = { bytes: 1200, kept: 512 }
export const mostCandidates = 32

export interface ConnectionSettings extends Reach {
  readonly iceServers: readonly WebRtc.IceServer[]
  /** The one UDP port of all viewers; 0: any for each. */
  readonly udpPort: number
}

export interface ConnectionEvents {
  /** For the viewer. */
  description(type: 'offer' | 'answer', sdp: string): void
  candidate(text: string, mid: string): void
  /** It can be sent to. */
  open(): void
  /** It cannot any more, or never could. */
  closed(why: 'closed' | 'failed'): void
  report(report: Report): void
}

/** The way of the picture to one viewer. What it is told is a stranger's. */
export class Connection {
  readonly #library: Library
  readonly #settings: ConnectionSettings
  readonly #events: ConnectionEvents
  readonly #peer: WebRtc.PeerConnection
  readonly #ssrc = randomInt(1, 2 ** 32 - 1)
  /** Those that came before the viewer's description. */
  readonly #early: string[] = []
  /**
   * Ways to here that the viewer is not told yet. A browser takes none before the description, which the library's threads may tell last; and
   * who knew one before we have his answer would begin at once, with us not knowing yet whose certificate is the right one: that ends in failure.
   */
  readonly #unsaid: Array<[text: string, mid: string]> = []
  #isDescribed = false
  #mid = 'video'
  #hasRemote = false
  #candidates = 0
  #track: WebRtc.Track | undefined
  #rtp: WebRtc.RtpPacketizationConfig | undefined
  #lastTimestamp = -1
  #isClosed = false

  constructor(library: Library, id: string, settings: ConnectionSettings, events: ConnectionEvents) {
    this.#library = library
    this.#settings = settings
    this.#events = events
    const { udpPort, iceServers, relayOnly } = settings
    const bindAddress = onlyAddress(settings)
    this.#peer = new library.PeerConnection(id, {
      iceServers: [...iceServers],
      disableAutoNegotiation: true,
      iceTransportPolicy: relayOnly ? 'relay' : 'all',
      ...(udpPort > 0 && { enableIceUdpMux: true, portRangeBegin: udpPort, portRangeEnd: udpPort }),
      ...(bindAddress && { bindAddress }),
    })
    const alive =
      <A extends unknown[]>(listener: (...args: A) => void) =>
      (...args: A) => {
        if (!this.#isClosed) listener(...args)
      }
    this.#peer.onLocalDescription(
      alive((sdp, type) => {
        if (type !== 'offer' && type !== 'answer') return
        events.description(type, withoutAddresses(sdp))
        this.#isDescribed = true
        this.#tellCandidates()
      }),
    )
    this.#peer.onLocalCandidate(
      alive((line, mid) => {
        const candidate = parseCandidate(line)
        const text = candidate && told(candidate, settings, networkInterfaces())
        if (text) this.#unsaid.push([text, mid])
        this.#tellCandidates()
      }),
    )
    this.#peer.onStateChange(
      alive((state) => {
        if (state === 'closed' || state === 'failed') events.closed(state)
      }),
    )
    // None is offered, and an offer with one is refused; whatever comes all the same is hung up on.
    this.#peer.onDataChannel((channel) => channel.close())
  }

  /** Says what is sent; the viewer answers. */
  offer(): void {
    this.#addVideo(ownType)
    this.#peer.setLocalDescription('offer')
  }

  /** Takes a viewer's offer and answers it. Throws a Refusal. */
  answer(sdp: string): void {
    const { video, ...remote } = readDescription(sdp)
    this.#mid = video.mid
    this.#addVideo(video)
    this.#setRemote(remote.sdp, 'offer', remote.candidates)
    this.#peer.setLocalDescription('answer')
  }

  /** Takes a viewer's answer. Throws a Refusal. */
  accept(sdp: string): void {
    const remote = readDescription(sdp)
    this.#setRemote(remote.sdp, 'answer', remote.candidates)
  }

  get isAnswered(): boolean {
    return this.#hasRemote
  }

  /** A way to the viewer, as it says; before its description too. False if it is not gone. Throws a Refusal for too many. */
  addCandidate(line: string): boolean {
    if (++this.#candidates > mostCandidates)
      throw new Refusal('CAMERA_BAD_SIGNAL', `More than ${mostCandidates} candidates are not looked at.`)
    const candidate = parseCandidate(line)
    if (!candidate || !mayDial(candidate, this.#settings)) return false
    if (this.#hasRemote) this.#try('candidate', () => this.#peer.addRemoteCandidate(candidate.text, this.#mid))
    else this.#early.push(line)
    return true
  }

  /** Sends a picture, exposed at `at` (milliseconds since the epoch). False if it cannot be sent. */
  send(picture: Uint8Array, at: number): boolean {
    if (this.#isClosed || !this.#rtp || !this.#track?.isOpen()) return false
    this.#lastTimestamp = Math.max(this.#lastTimestamp + 1, Math.round((at * clockRate) / 1000))
    this.#rtp.timestamp = this.#lastTimestamp % 2 ** 32
    try {
      return this.#track.sendMessageBinary(Buffer.from(picture.buffer, picture.byteOffset, picture.byteLength))
    } catch {
      return false // it was closed by the other end a moment ago
    }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      this.#track?.close()
      this.#peer.close()
    } catch {
      // it is closed
    }
  }

  #addVideo({ payloadType, fmtp }: { payloadType: number; fmtp: string }): void {
    const { Video, RtpPacketizationConfig, H264RtpPacketizer, RtcpSrReporter, RtcpNackResponder } = this.#library
    const video = new Video(this.#mid, 'SendOnly')
    video.addH264Codec(payloadType, fmtp)
    video.addSSRC(this.#ssrc, 'camera', 'camera', 'video')
    const rtp = new RtpPacketizationConfig(this.#ssrc, 'camera', payloadType, clockRate)
    const packetizer = new H264RtpPacketizer('StartSequence', rtp, packet.bytes)
    packetizer.addToChain(new RtcpSrReporter(rtp))
    packetizer.addToChain(new RtcpNackResponder(packet.kept))
    const track = this.#peer.addTrack(video)
    track.setMediaHandler(packetizer)
    track.onOpen(() => {
      if (!this.#isClosed) this.#events.open()
    })
    track.onMessage((message) => {
      if (!this.#isClosed) this.#events.report(readReports(Buffer.from(message), this.#ssrc, Date.now()))
    })
    this.#rtp = rtp
    this.#track = track
  }

  #tellCandidates(): void {
    if (!this.#isDescribed || !this.#hasRemote) return
    for (const [text, mid] of this.#unsaid.splice(0)) this.#events.candidate(text, mid)
  }

  #setRemote(sdp: string, type: 'offer' | 'answer', candidates: readonly string[]): void {
    this.#try('description', () => this.#peer.setRemoteDescription(sdp, type))
    this.#hasRemote = true
    const early = this.#early.splice(0)
    this.#candidates -= early.length
    for (const line of [...candidates, ...early]) this.addCandidate(line)
    this.#tellCandidates()
  }

  #try(what: string, work: () => void): void {
    try {
      work()
    } catch (cause) {
      throw new Refusal('CAMERA_BAD_SIGNAL', `The ${what} cannot be used.`, { cause })
    }
  }
}

/** Where one interface with one address is chosen, nothing is sent from another. */
function onlyAddress({ interfaces }: Reach): string | undefined {
  const known = networkInterfaces()
  const addresses = interfaces.flatMap((name) => known[name] ?? []).filter(({ family, scopeid }) => family === 'IPv4' || !scopeid)
  const [only, ...more] = addresses.filter(({ family }) => family === 'IPv4')
  return more.length === 0 ? only?.address : undefined
}
