import { readFileSync } from 'node:fs'
import type { Server as HttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { createServer as createTlsServer, Server as TlsServer } from 'node:tls'
import type { HostConfig } from '../config/types.ts'
import { watchDirectory } from '../process/watch-directory.ts'

type TlsFiles = NonNullable<HostConfig['tls']>

/**
 * Listens, and hands every connection to the one HTTP server. Address, port and certificate can so change while the
 * daemon runs: connections that are open stay.
 */
export class Listener {
  readonly #http: HttpServer
  #server: Server | undefined
  #settings = ''
  #url = ''
  #unwatch: Array<() => void> = []
  readonly #listeners = new Set<() => void>()

  constructor(http: HttpServer) {
    this.#http = http
    // Starts the server's own watch over slow requests, which otherwise begins with its listen().
    http.emit('listening')
  }

  /** Where it listens, such as `http://127.0.0.1:8080`, or listened last. */
  get url(): string {
    return this.#url
  }

  /** Listens as told; what was listened on before is let go once the new place is taken. Rejects with Node's error. */
  async listen({ address, port, tls }: Pick<HostConfig, 'address' | 'port' | 'tls'>): Promise<void> {
    const settings = JSON.stringify({ address, port, tls })
    if (settings === this.#settings) return
    const accept = (socket: Socket) => void this.#http.emit('connection', socket)
    const server = tls ? createTlsServer({ ...read(tls), noDelay: true }, accept) : createServer({ noDelay: true }, accept)
    const before = this.#server
    // One port can be listened on once; another is taken first.
    if ((before?.address() as AddressInfo | undefined)?.port === port) this.close()
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve))
    // From here on it is a connection that could not be accepted, for want of descriptors: the next may fare better.
    server.on('error', () => {})
    if (this.#server) this.close()
    this.#server = server
    this.#settings = settings
    this.#url = urlOf(server)
    if (tls && server instanceof TlsServer) this.#unwatch = follow(tls, server)
    for (const listener of this.#listeners) listener()
  }

  /** Calls back when it has come to listen at another place. Returns what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Stops listening, at once; open connections are the HTTP server's. */
  close(): void {
    this.#server?.close()
    this.#server = undefined
    this.#settings = ''
    for (const unwatch of this.#unwatch.splice(0)) unwatch()
  }
}

function urlOf(server: Server): string {
  const { address, port } = server.address() as AddressInfo
  return `${server instanceof TlsServer ? 'https' : 'http'}://${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** At once, so that of two readings the later one has the later content. */
const read = ({ cert, key }: TlsFiles) => ({ cert: readFileSync(cert), key: readFileSync(key) })

/** Gives new connections the certificate that is on disk. Those that are open keep theirs. */
function follow(files: TlsFiles, server: TlsServer): Array<() => void> {
  const renew = () => {
    try {
      server.setSecureContext(read(files))
    } catch {
      // Half written, or the key is there and its certificate not yet: what is in use stays until the next change.
    }
  }
  // What changed before the watch was set raised no event.
  const releases = [...new Set([dirname(files.cert), dirname(files.key)])].map((directory) => watchDirectory(directory, renew))
  renew()
  return releases
}
