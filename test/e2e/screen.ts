import type { Page } from 'playwright-core'
import type { TestClient } from '../../core/testing/host.ts'
import type { Answer } from '../../core/testing/types.ts'

/** How far a picture has come in a browser. */
export interface Seen {
  /** Pictures that the video element has shown. */
  readonly frames: number
  readonly width: number
  readonly height: number
  /** What the test pattern says: its number, and the time of its making in milliseconds, both modulo 65,536; null before the first. */
  readonly number: number | null
  readonly madeAt: number | null
  /** When it was shown; milliseconds since the epoch. */
  readonly seenAt: number | null
}

export type Place = readonly [x: number, y: number]

const deadlineMs = 40_000
const stepMs = 50

/** A viewer as an app would be: its client carries the messages, its page (viewer.js) shows the picture. */
export class Screen {
  readonly client: TestClient
  readonly page: Page
  /** The descriptions and candidates that came from the host. */
  readonly heard: string[] = []
  /** Makes of the host's candidates what the browser is told. */
  lead: (candidate: string) => string | Promise<string> = (candidate) => candidate

  private constructor(page: Page, client: TestClient) {
    this.page = page
    this.client = client
  }

  static async open(page: Page, client: TestClient): Promise<Screen> {
    const screen = new Screen(page, client)
    await page.exposeFunction('tell', (kind: string, payload: unknown) => client.ask(kind, payload).catch(() => undefined))
    await page.addScriptTag({ path: new URL('./viewer.js', import.meta.url).pathname })
    const { socket } = client
    socket.on('camera:offer', ({ sdp, iceServers = [] }: { sdp: string; iceServers?: object[] }) => {
      screen.heard.push(sdp)
      screen.#quietly(async () => client.ask('camera:answer', await screen.#call('takeOffer', sdp, iceServers)))
    })
    socket.on('camera:answer', ({ sdp }: { sdp: string }) => {
      screen.heard.push(sdp)
      screen.#quietly(() => screen.#call('takeAnswer', sdp))
    })
    socket.on('camera:ice_candidate', (candidate: { candidate: string }) => {
      screen.heard.push(candidate.candidate)
      screen.#quietly(async () =>
        screen.#call('takeCandidate', { ...candidate, candidate: await screen.lead(candidate.candidate) }),
      )
    })
    return screen
  }

  start(resolution: '480p' | '720p' | '1080p' = '720p'): Promise<Answer> {
    return this.client.ask('camera:start', { resolution })
  }

  /** Makes an offer of its own and sends it. */
  async offer(): Promise<Answer> {
    return this.client.ask('camera:offer', await this.#call('offer'))
  }

  /** The next value of an event, or the next that fits. */
  hears<T>(event: string, fits?: (value: T) => boolean): Promise<T> {
    return this.client.next(event, fits, deadlineMs)
  }

  look(): Promise<Seen> {
    return this.#call('look')
  }

  /** Waits until what is seen fits. */
  async until(fits: (seen: Seen) => boolean, what: string): Promise<Seen> {
    const end = Date.now() + deadlineMs
    for (;;) {
      const seen = await this.look()
      if (fits(seen)) return seen
      if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}; ${JSON.stringify(seen)}`)
      await new Promise((resolve) => setTimeout(resolve, stepMs))
    }
  }

  /** Waits for so many more pictures. */
  async more(count: number): Promise<Seen> {
    const { frames } = await this.look()
    return this.until((seen) => seen.frames >= frames + count, `${count} more pictures`)
  }

  /** Numbers of the next pictures, as many or more, in the order in which they are shown. */
  async numbers(count: number): Promise<number[]> {
    await this.#call('numbers')
    await this.more(count)
    return this.#call('numbers')
  }

  /** What a JPEG shows: its size, the number in it, and the colours at places that are parts of its size. */
  decode(
    base64: string,
    places: readonly Place[],
  ): Promise<{ width: number; height: number; number: number; colours: number[][] }> {
    return this.#call('decode', base64, places)
  }

  /** Red, green and blue of the last picture. */
  colours(places: readonly Place[]): Promise<number[][]> {
    return this.#call('colours', places)
  }

  hangUp(): Promise<void> {
    return this.#call('hangUp')
  }

  #call<T>(name: string, ...args: unknown[]): Promise<T> {
    const inPage = (given: { name: string; args: unknown[] }) =>
      (globalThis as unknown as { viewer: Record<string, (...args: unknown[]) => T> }).viewer[given.name]?.(...given.args) as T
    return this.page.evaluate(inPage, { name, args }) as Promise<T>
  }

  /** What comes for a connection that was replaced meanwhile is of no use. */
  #quietly(work: () => Promise<unknown>): void {
    void work().catch(() => undefined)
  }
}
