import { type Signal, signal } from '@preact/signals'
import type { Answer } from '../../panel/app/src/contract.ts'
import type { Module } from '../../panel/app/src/kit.tsx'

/** How the picture fares. */
export type PictureState = 'off' | 'asking' | 'connecting' | 'live' | 'broken'
interface Offer {
  readonly sdp: string
  readonly iceServers?: RTCIceServer[]
}

/** A picture that the host offers, one at a time. */
export class Picture {
  readonly state: Signal<PictureState> = signal('off')
  readonly stream: Signal<MediaStream | undefined> = signal(undefined)
  readonly #module: Module
  readonly #releases: Array<() => void>
  #connection: RTCPeerConnection | undefined
  /** Candidates that came before what they belong to. */
  #early: RTCIceCandidateInit[] = []

  constructor(module: Module) {
    this.#module = module
    this.#releases = [
      this.#hear('camera:offer', (offer) => void this.#take(offer as Offer)),
      this.#hear('camera:ice_candidate', (candidate) => this.#add(candidate as RTCIceCandidateInit)),
    ]
  }

  async start(resolution: string): Promise<Answer> {
    if (!this.#connection) this.state.value = 'asking'
    const answer = await this.#module.send('camera:start', { resolution })
    if (!answer.success && !this.#connection) this.state.value = 'off'
    return answer
  }

  stop(): void {
    if (this.state.peek() !== 'off') void this.#module.send('camera:stop')
    this.#close()
    this.state.value = 'off'
  }

  /** No longer needed. */
  release(): void {
    this.stop()
    for (const release of this.#releases) release()
  }

  /** Without what was heard before this picture was asked for. */
  #hear(event: string, callback: (value: unknown) => void): () => void {
    const before = this.#module.heard(event).peek()
    return this.#module.heard(event).subscribe((heard) => {
      if (heard && heard !== before) callback(heard.value)
    })
  }

  async #take({ sdp, iceServers = [] }: Offer): Promise<void> {
    if (this.state.peek() === 'off') return
    this.#close()
    this.state.value = 'connecting'
    const connection = new RTCPeerConnection({ iceServers })
    this.#connection = connection
    connection.ontrack = ({ track }) => {
      this.stream.value = new MediaStream([track])
    }
    connection.onicecandidate = ({ candidate }) => void this.#module.send('camera:ice_candidate', candidate?.toJSON() ?? null)
    connection.onconnectionstatechange = () => {
      if (connection !== this.#connection) return
      if (connection.connectionState === 'connected') this.state.value = 'live'
      else if (['failed', 'disconnected'].includes(connection.connectionState)) this.state.value = 'broken'
    }
    try {
      await connection.setRemoteDescription({ type: 'offer', sdp })
      for (const candidate of this.#early.splice(0)) this.#add(candidate)
      await connection.setLocalDescription()
      const answer = connection.localDescription
      if (answer) await this.#module.send('camera:answer', { type: 'answer', sdp: answer.sdp })
    } catch {
      if (connection === this.#connection) this.state.value = 'broken'
    }
  }

  #add(candidate: RTCIceCandidateInit): void {
    if (!this.#connection?.remoteDescription) {
      this.#early = [...this.#early.slice(-63), candidate]
      return
    }
    // One that this browser cannot use is none; others lead there, or the picture is told to be broken.
    this.#connection.addIceCandidate(candidate).catch(() => undefined)
  }

  #close(): void {
    this.#connection?.close()
    this.#connection = undefined
    this.stream.value = undefined
  }
}
