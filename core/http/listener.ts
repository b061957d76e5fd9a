import { readFile } from 'node:fs/promises'
import type { Server as HttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, Server as TlsServer } from 'node:tls'

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
    const { address, port } = (this.#server as Server).address() as AddressInfo
    return `${this.#server instanceof TlsServer ? 'https' : 'http'}://${address.includes(':') ? `[${address}]` : address}:${port}`
  }

  /** Listens as told; what was listened on before is let go once the new place is taken. Rejects with Node's error. */
  async listen({ address, port, tls }: ListenSettings): Promise<void> {
    const settings = JSON.stringify({ address, port, tls })
    if (settings === this.#settings) return
    const files = tls && { cert: await readFile(tls.cert), key: await readFile(tls.key) }
    const accept = (socket: Socket) => void this.#http.emit('connection', socket)
    const server = files ? createTlsServer({ ...files, noDelay: true }, accept) : createServer({ noDelay: true }, accept)
    const before = this.#server
    // One port can be listened on once; another is taken first.
    if ((before?.address() as AddressInfo | undefined)?.port === port) this.close()
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve))
    // From here on it is a connection that could not be accepted, for want of descriptors: the next may fare better.
    server.on('error', () => {})
    if (this.#server) this.close()
    this.#server = server
    this.#settings = settings
  }

  /** Stops listening, at once; open connections are the HTTP server's. */
  close(): void {
    this.#server?.close()
    this.#server = undefined
    this.#settings = ''
  }
}
