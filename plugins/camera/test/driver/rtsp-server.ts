// A camera of the network: an RTSP server that has one stream, made by ffmpeg, and gives it out over the connection that asks for it.
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface RtspServer {
  readonly url: string
  /** How many it has served at a time, at most. */
  readonly most: () => number
  /** As if somebody had pulled its plug: connections end, and it answers no more, until `back`. */
  gone(): Promise<void>
  back(): Promise<void>
  close(): Promise<void>
}

interface Options {
  /** Of the picture. */
  readonly size?: string
  /** ffmpeg's words for how it is encoded. */
  readonly encoder?: readonly string[]
  /** `user:password`; without it everybody is let in. */
  readonly credentials?: string
}

export async function startRtspServer({
  size = '1280x720',
  encoder = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-g', '30'],
  credentials,
}: Options = {}): Promise<RtspServer> {
  const packets = createSocket('udp4').bind(0, '127.0.0.1')
  await once(packets, 'listening')
  const pattern = ['-re', '-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=30`]
  const target = `rtp://127.0.0.1:${packets.address().port}?pkt_size=1200`
  const args = ['-v', 'error', '-nostdin', ...pattern, ...encoder, '-b:v', '1500k', '-f', 'rtp', '-sdp_file', 'pipe:1', target]
  const camera = spawn('ffmpeg', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const description = await said(camera, /a=(fmtp|control).*\r?\n/)

  const playing = new Set<Socket>()
  const connections = new Set<Socket>()
  let most = 0
  packets.on('message', (packet) => {
    const head = Buffer.from([0x24, 0, packet.length >> 8, packet.length & 0xff])
    for (const socket of playing) if (socket.writableLength < 1e6) socket.write(Buffer.concat([head, packet]))
  })
  const server = createServer((socket) => {
    connections.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      connections.delete(socket)
      playing.delete(socket)
    })
    let asked = ''
    socket.on('data', (piece) => {
      asked += piece.toString('latin1')
      for (let end = asked.indexOf('\r\n\r\n'); end !== -1; end = asked.indexOf('\r\n\r\n')) {
        answer(socket, asked.slice(0, end).replace(/^[\s\S]*?(?=[A-Z_]+ rtsp)/, ''))
        asked = asked.slice(end + 4)
      }
    })
  })
  const answer = (socket: Socket, request: string) => {
    const [method] = request.split(' ')
    const sequence = /^CSeq: *(\d+)/im.exec(request)?.[1]
    const say = (status: string, headers = '', body = '') =>
      socket.write(`RTSP/1.0 ${status}\r\nCSeq: ${sequence}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`)
    const given = /^Authorization: *Basic (\S+)/im.exec(request)?.[1] ?? ''
    if (method === 'OPTIONS') return say('200 OK', 'Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n')
    if (credentials && Buffer.from(given, 'base64').toString() !== credentials)
      return say('401 Unauthorized', 'WWW-Authenticate: Basic realm="camera"\r\n')
    if (method === 'DESCRIBE') return say('200 OK', 'Content-Type: application/sdp\r\n', description)
    // Over this connection, or not at all.
    if (method === 'SETUP' && !/interleaved/.test(request)) return say('461 Unsupported Transport')
    if (method === 'SETUP') return say('200 OK', 'Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n')
    say('200 OK', 'Session: 1\r\n')
    if (method !== 'PLAY') return
    playing.add(socket)
    most = Math.max(most, playing.size)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const end = async () => {
    for (const socket of connections) socket.destroy()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  return {
    url: `rtsp://${credentials ? `${credentials}@` : ''}127.0.0.1:${port}/stream`,
    most: () => most,
    gone: end,
    async back() {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    async close() {
      await end()
      packets.close()
      camera.kill('SIGKILL')
      await once(camera, 'exit')
    },
  }
}

async function said(program: ChildProcess, pattern: RegExp): Promise<string> {
  let text = ''
  for await (const piece of program.stdout ?? []) {
    text += String(piece)
    // Behind the line it has said all.
    if (pattern.test(text)) break
  }
  return `${text.replace(/^SDP:\s*/, '').replace(/a=control.*\r?\n/g, '')}a=control:streamid=0\r\n`
}
