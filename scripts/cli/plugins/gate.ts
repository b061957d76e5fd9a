import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'

export interface GateOptions {
  /** `host:port` of every registry. */
  readonly allowed: ReadonlySet<string>
  /** The proxy by which this machine reaches a host. */
  proxyFor(host: string): URL | undefined
  readonly maxBytes: number
}

/**
 * All that npm reaches, as a proxy on loopback: the registries and nothing else, whatever a package names, and no more bytes than
 * these. What npm itself thinks of addresses does not count. TLS goes through untouched.
 */
export class Gate {
  readonly #options: GateOptions
  readonly #server: Server = createServer((asked, answer) => this.#forward(asked, answer))
  readonly #sockets = new Set<Duplex>()
  #bytes = 0
  /** What was asked for in vain. */
  readonly refused = new Set<string>()

  constructor(options: GateOptions) {
    this.#options = options
    this.#server.on('connect', (asked, socket: Socket, head) => this.#tunnel(asked.url ?? '', socket, head))
    this.#server.on('connection', (socket) => this.#know(socket))
  }

  get isExceeded(): boolean {
    return this.#bytes > this.#options.maxBytes
  }

  /** Resolves with its URL. */
  async open(): Promise<string> {
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #allows(target: string): boolean {
    const isAllowed = this.#options.allowed.has(target.toLowerCase())
    if (!isAllowed && this.refused.size < 10) this.refused.add(target)
    return isAllowed
  }

  #know(socket: Duplex): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  }

  #count(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.isExceeded) for (const socket of this.#sockets) socket.destroy()
  }

  #tunnel(target: string, socket: Socket, head: Buffer): void {
    if (!this.#allows(target)) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const proxy = this.#options.proxyFor(target)
    const [host = '', port] = target.split(/:(?=\d+$)/)
    const join = (far: Duplex) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      far.write(head)
      far.on('data', (chunk: Buffer) => this.#count(chunk))
      far.pipe(socket).pipe(far)
    }
    const fail = () => socket.destroy()
    if (!proxy) {
      const far = connect(Number(port), host.replace(/^\[|\]$/g, ''), () => join(far))
      this.#know(far.on('close', fail))
      return
    }
    const asked = request({
      ...reaching(proxy),
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...credentials(proxy) },
    })
    asked.on('connect', ({ statusCode }: IncomingMessage, far: Socket) => {
      this.#know(far.on('close', fail))
      if (statusCode === 200) join(far)
      else far.destroy()
    })
    asked.on('error', fail).end()
  }

  /** A registry without TLS. */
  #forward(asked: IncomingMessage, answer: ServerResponse): void {
    const url = URL.canParse(asked.url ?? '') ? new URL(asked.url as string) : undefined
    if (url?.protocol !== 'http:' || !this.#allows(hostOf(url))) return void answer.writeHead(403).end()
    const proxy = this.#options.proxyFor(hostOf(url))
    const where = proxy
      ? { ...reaching(proxy), path: url.href }
      : { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port || 80, path: url.pathname + url.search }
    const headers = { ...asked.headers, ...(proxy && credentials(proxy)) }
    const far = request({ ...where, method: asked.method, headers }, (said) => {
      answer.writeHead(said.statusCode ?? 502, said.headers)
      said.on('data', (chunk: Buffer) => this.#count(chunk))
      said.on('error', () => answer.destroy())
      said.pipe(answer)
    })
    far.on('error', () => answer.destroy())
    asked.pipe(far)
  }
}

/** With the port that is meant where none is named. */
export function hostOf({ protocol, hostname, port }: URL): string {
  return `${hostname}:${port || (protocol === 'http:' ? 80 : 443)}`
}

function reaching(proxy: URL): object {
  const { protocol, hostname, port } = proxy
  if (protocol !== 'https:') return { host: hostname, port: port || 80 }
  return { createConnection: () => connectTls({ host: hostname, port: Number(port || 443), servername: hostname }) }
}

function credentials({ username, password }: URL): Record<string, string> {
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return username ? { 'proxy-authorization': `Basic ${Buffer.from(text).toString('base64')}` } : {}
}
