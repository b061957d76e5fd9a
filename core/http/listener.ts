import { readFile } from 'node:fs/promises'
import type { Server as HttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'

export interface ListenSettings {
  readonly address: string
  readonly port: number
  readonly tls?: { readonly cert: string; readonly key: string }
}

/**
 * Listens, and hands every connection to the one HTTP server. Address, port and certificate can so change while the
 * daemon runs: connections that are open stay.
 */
export class Listener {
  readonly #http: HttpServer
  #server: Server | undefined
  #settings = ''

  constructor(http: HttpServer) {
    this.#http = http
    // Starts the server's own watch over slow requests, which otherwise begins with its listen().
    http.emit('listening')
  }

  /** Where it listens, such as `http://127.0.0.1:8080`. */
  get url(): string {
    const { address, port } = this.#server?.address() as AddressInfo
    const host = address.includes(':') ? `[${address}]` : address
    return `${this.#settings.includes('"tls"') ? 'https' : 'http'}://${host}:${port}`
  }

  /** Listens as told; what was listened on before is let go once the new place is taken. Rejects with Node's error. */
  async listen({ address, port, tls }: ListenSettings): Promise<void> {
    const settings = JSON.stringify({ address, port, tls })
    if (settings === this.#settings) return
    const accept = (socket: Socket) => void this.#http.emit('connection', socket)
    const server = tls
      ? createTlsServer({ cert: await readFile(tls.cert), key: await readFile(tls.key) }, accept)
      : createServer({ noDelay: true }, accept)
    const before = this.#server
    const sameDoor = before && (before.address() as AddressInfo).port === port
    if (sameDoor) await this.close()
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, () => resolve()))
    server.on('error', () => {})
    if (before && !sameDoor) before.close()
    this.#server = server
    this.#settings = settings
  }

  /** Stops listening; open connections are the HTTP server's. */
  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#settings = ''
    // close() calls back only when every connection is gone: what matters here is that the port is free, which it is at once.
    server?.close()
  }
}
