import { execFileSync } from 'node:child_process'
import { createServer } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { io } from 'socket.io-client'
import t from 'tap'
import { Listener } from '../../../core/http/listener.ts'
import { connected } from '../../../core/testing/host.ts'
import { once, startLab, until } from '../wire/lab.ts'

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
const isOpen = (port: number, address = '127.0.0.1'): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, address, () => resolve(true))
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy())
  })
const answer = () => createServer((_request, response) => response.end('hello'))

void t.test('a client stays connected while the port changes, and new ones come to the new port', async (t) => {
  const host = await startLab(t, [])
  const client = await host.client('owner', 5)
  const oldPort = Number(new URL(host.url).port)
  const port = await freePort()
  await host.writeConfig('host', { port })
  await until(() => host.host.url.endsWith(`:${port}`))
  t.match(await client.ask('host:sessions'), { success: true })
  t.notOk(await isOpen(oldPort))
  const socket = io(host.host.url, { auth: { sessionToken: client.sessionToken }, forceNew: true })
  t.teardown(() => socket.close())
  await connected(socket)
  t.ok(client.socket.connected)
})

void t.test('where a port is taken the host stays where it was', async (t) => {
  const host = await startLab(t, [])
  const other = createTcpServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.teardown(() => other.close())
  await host.writeConfig('host', { port: (other.address() as AddressInfo).port })
  await until(() => host.log.some((line) => line.includes('staying where we were')))
  t.equal((await fetch(`${host.url}/healthz`)).status, 200)
})

void t.test('it listens as told, once, and lets go', async (t) => {
  const listener = new Listener(answer())
  const port = await freePort()
  await listener.listen({ address: '127.0.0.1', port })
  t.equal(listener.url, `http://127.0.0.1:${port}`)
  t.equal(await (await fetch(listener.url)).text(), 'hello')
  await listener.listen({ address: '127.0.0.1', port })
  t.ok(await isOpen(port), 'the same again changes nothing')
  await listener.listen({ address: '::1', port })
  t.equal(listener.url, `http://[::1]:${port}`, 'another address on the same port')
  t.equal(await (await fetch(listener.url)).text(), 'hello')
  t.notOk(await isOpen(port))
  listener.close()
  t.notOk(await isOpen(port, '::1'))
  await listener.listen({ address: '127.0.0.1', port })
  t.ok(await isOpen(port), 'and may listen again')
  listener.close()
})

void t.test('a connection that could not be accepted does not end the process', async (t) => {
  const listener = new Listener(answer())
  const servers: Array<{ emit(event: string, error: Error): boolean }> = []
  const { Server } = await import('node:net')
  const { listen } = Server.prototype
  Server.prototype.listen = function (this: never, ...args: never[]) {
    servers.push(this)
    return Reflect.apply(listen, this, args)
  } as typeof listen
  t.teardown(() => (Server.prototype.listen = listen))
  await listener.listen({ address: '127.0.0.1', port: 0 })
  t.doesNotThrow(() => servers[0]?.emit('error', new Error('EMFILE')))
  t.equal(await (await fetch(listener.url)).text(), 'hello')
  listener.close()
})

void t.test('with a certificate it speaks TLS', async (t) => {
  const dir = t.testdir()
  const files = { key: `${dir}/key.pem`, cert: `${dir}/cert.pem` }
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      files.key,
      '-out',
      files.cert,
      '-subj',
      '/CN=localhost',
      '-days',
      '2',
    ],
    { stdio: 'ignore' },
  )
  const listener = new Listener(answer())
  await listener.listen({ address: '127.0.0.1', port: 0, tls: files })
  t.match(listener.url, /^https:/)
  const [response] = await once(tlsRequest(listener.url, { rejectUnauthorized: false }).end() as never, 'response')
  t.equal(response.statusCode, 200)
  response.destroy()
  await t.rejects(listener.listen({ address: '127.0.0.1', port: 0, tls: { ...files, key: `${dir}/missing` } }), {
    code: 'ENOENT',
  })
  t.match(listener.url, /^https:/, 'it listens as before')
  listener.close()
})

void t.test('slow headers are cut off although others than the HTTP server listen', async (t) => {
  const http = createServer({ headersTimeout: 200, requestTimeout: 200, connectionsCheckingInterval: 50 }, (_request, response) =>
    response.end(),
  )
  const listener = new Listener(http)
  await listener.listen({ address: '127.0.0.1', port: 0 })
  const socket = connect(Number(new URL(listener.url).port), '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n')
  await once(socket.resume() as never, 'close')
  t.pass()
  listener.close()
  http.closeAllConnections()
  http.close()
})
