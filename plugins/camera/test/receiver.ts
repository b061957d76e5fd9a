import { type PeerConnection as Peer, PeerConnection, RtcpReceivingSession, type Track, Video } from 'node-datachannel'
import type { Test } from 'tap'
import type { TestClient } from '../../../core/testing/host.ts'

/** How a receiver behaves that is not quite as others. */
export interface Manners {
  /** Changes what it answers. */
  readonly alter?: (sdp: string) => string
  /** It keeps its answer until it has told all its candidates. */
  readonly answersLate?: boolean
  /** It is spoken with over the TURN server of the offer and in no other way. */
  readonly relayed?: boolean
}

interface TurnServer {
  readonly urls: readonly string[]
  readonly username: string
  readonly credential: string
}

/** One that watches without a browser: a client for the messages, and libdatachannel for the picture, both on loopback. */
export class Receiver {
  readonly client: TestClient
  /** Packets of the picture that have come. */
  packets = 0
  readonly candidates: string[] = []
  /** It was told a way to the other side before it had answered. */
  toldTooEarly = false
  readonly offers: Array<{ sdp: string; iceServers?: TurnServer[] }> = []
  readonly #errors: string[] = []
  readonly #manners: Manners
  #peer: Peer | undefined
  /** What nobody holds is tidied up, and hears nothing any more. */
  readonly #held: Track[] = []

  constructor(t: Test, client: TestClient, manners: Manners = {}) {
    this.client = client
    this.#manners = manners
    t.teardown(() => this.hangUp())
    client.socket.on('camera:offer', (offer: { sdp: string; iceServers?: TurnServer[] }) => {
      this.offers.push(offer)
      this.#take(offer)
    })
    client.socket.on('camera:error', ({ message }: { message: string }) => this.#errors.push(message))
    client.socket.on('camera:ice_candidate', ({ candidate, sdpMid }: { candidate: string; sdpMid: string }) => {
      this.candidates.push(candidate)
      this.#peer?.addRemoteCandidate(candidate, sdpMid)
    })
    client.socket.on('camera:answer', ({ sdp }: { sdp: string }) => this.#peer?.setRemoteDescription(sdp, 'answer'))
  }

  start(resolution = '480p') {
    return this.client.ask('camera:start', { resolution })
  }

  /** An offer of its own, which it has told its candidates before. */
  async offer() {
    const peer = this.#open()
    const told = new Promise<void>((resolve) =>
      peer.onGatheringStateChange((state) => {
        if (state === 'complete') resolve()
      }),
    )
    const video = new Video('picture', 'RecvOnly')
    video.addH264Codec(102, 'profile-level-id=42e01f;packetization-mode=1')
    const track = peer.addTrack(video)
    this.#count(track)
    peer.setLocalDescription('offer')
    await told
    return this.client.ask('camera:offer', { type: 'offer', sdp: withoutCandidates(peer.localDescription()?.sdp ?? '') })
  }

  /** Resolves when so many more packets have come. */
  async more(count: number): Promise<void> {
    const enough = this.packets + count
    const end = Date.now() + 30_000
    while (this.packets < enough) {
      if (Date.now() > end) throw new Error(`${this.packets} of ${enough} packets came within 30 s (${this.#state()})`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  #state(): string {
    const tracks = this.#held.map((track) => `track ${track.isOpen() ? 'open' : 'closed'}`).join(', ')
    return `${this.#peer?.state()}, ICE ${this.#peer?.iceState()}, ${tracks || 'no track'}, ${this.candidates.length} candidates; ${this.#errors.join(' ')}`
  }

  hangUp(): void {
    for (const track of this.#held.splice(0)) track.close()
    this.#peer?.close()
  }

  #open(turn: readonly TurnServer[] = []): Peer {
    this.hangUp()
    const iceServers = turn.map(({ urls: [url = ''], username, credential: password }) => {
      const { hostname, port } = new URL(url.replace('turn:', 'turn://'))
      return { hostname, port: Number(port), username, password, relayType: 'TurnUdp' as const }
    })
    const iceTransportPolicy = turn.length > 0 ? 'relay' : 'all'
    const peer = new PeerConnection('receiver', {
      ...{ iceServers, iceTransportPolicy, bindAddress: '127.0.0.1', disableAutoNegotiation: true },
    })
    this.#peer = peer
    peer.onLocalCandidate(
      (candidate, sdpMid) => void this.client.ask('camera:ice_candidate', { candidate, sdpMid }).catch(() => undefined),
    )
    return peer
  }

  #count(track: Track): void {
    this.#held.push(track)
    track.setMediaHandler(new RtcpReceivingSession())
    track.onMessage(() => this.packets++)
  }

  #take({ sdp, iceServers }: { sdp: string; iceServers?: TurnServer[] }): void {
    const { alter = (text: string) => text, answersLate = false, relayed = false } = this.#manners
    const peer = this.#open(relayed ? iceServers : [])
    const answer = () => {
      this.toldTooEarly ||= this.candidates.length > 0
      const said = alter(withoutCandidates(peer.localDescription()?.sdp ?? ''))
      void this.client.ask('camera:answer', { type: 'answer', sdp: said }).catch(() => undefined)
    }
    peer.onTrack((track) => this.#count(track))
    if (answersLate)
      peer.onGatheringStateChange((state) => {
        if (state === 'complete') answer()
      })
    else peer.onLocalDescription(answer)
    peer.setRemoteDescription(sdp, 'offer')
    peer.setLocalDescription('answer')
  }
}

const withoutCandidates = (sdp: string) =>
  sdp
    .split('\r\n')
    .filter((line) => !/^a=(candidate|end-of-candidates)/.test(line))
    .join('\r\n')
