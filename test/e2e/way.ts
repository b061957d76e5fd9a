import { createSocket, type Socket } from 'node:dgram'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** A way from a browser to the host that loses packets. */
export class Way {
  /** Of a hundred, in both directions. */
  lost = 0
  readonly #sockets: Socket[] = []
  // A sequence that is the same each time, and no regular one.
  #state = 1

  constructor(t: Test) {
    t.teardown(() => {
      for (const socket of this.#sockets) socket.close()
    })
  }

  /** Makes of a candidate one that leads to the same place over this way, or to none where it has no IPv4 address. */
  async lead(candidate: string): Promise<string> {
    const [, address = '', port = ''] = / (\d+\.\d+\.\d+\.\d+) (\d+) typ host/.exec(candidate) ?? []
    if (!address) return candidate.replace(/ \S+ \d+ typ/, ' 192.0.2.254 9 typ')
    const [near, far] = await Promise.all([this.#open(address), this.#open(address)])
    let browser: AddressInfo | undefined
    near.on('message', (message, from) => {
      browser = from as AddressInfo
      if (!this.#isLost()) far.send(message, Number(port), address)
    })
    far.on('message', (message) => {
      if (browser && !this.#isLost()) near.send(message, browser.port, browser.address)
    })
    return candidate.replace(` ${address} ${port} typ`, ` ${address} ${near.address().port} typ`)
  }

  #isLost(): boolean {
    this.#state = (this.#state * 16_807) % 2_147_483_647
    return this.#state % 100 < this.lost
  }

  #open(address: string): Promise<Socket> {
    const socket = createSocket('udp4')
    this.#sockets.push(socket)
    return new Promise((resolve, reject) => socket.once('error', reject).bind(0, address, () => resolve(socket)))
  }
}
