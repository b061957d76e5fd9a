import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { Listener } from '../../../core/http/listener.ts'
import { once } from '../wire/lab.ts'

/** A pair of its own kind, made by openssl: the certificate's subject is `name`. */
function makePair(dir: string, name: string): { cert: string; key: string } {
  const [cert, key] = [`${dir}/${name}.crt`, `${dir}/${name}.key`]
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const args = ['req', '-x509', ...ec, '-keyout', key, '-out', cert, '-subj', `/CN=${name}`]
  execFileSync('openssl', args, { stdio: 'ignore' })
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

async function dial(t: Test, url: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false })
  t.teardown(() => socket.destroy())
  await once(socket as never, 'secureConnect')
  return socket
}

/** Whose certificate a new connection is shown. */
async function shown(t: Test, { url }: Listener): Promise<unknown> {
  const socket = await dial(t, url)
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return CN
}

/** Resolves when new connections are shown this one. */
async function shows(t: Test, listener: Listener, name: string): Promise<void> {
  for (const end = Date.now() + 8000; (await shown(t, listener)) !== name; )
    if (Date.now() > end) throw new Error(`The certificate ${name} was not shown.`)
}

async function listenWith(t: Test, pair: { cert: string; key: string }) {
  const dir = t.testdir()
  const files = { cert: `${dir}/cert.pem`, key: `${dir}/key.pem` }
  writeFileSync(files.cert, pair.cert)
  writeFileSync(files.key, pair.key)
  const http = createServer((_request, response) => response.end('hello'))
  const listener = new Listener(http)
  t.teardown(() => {
    listener.close()
    http.closeAllConnections()
  })
  await listener.listen({ address: '127.0.0.1', port: 0, tls: files })
  return { files, listener }
}

/** How many paths this process has the kernel watch. */
function watched(): number {
  const own = readdirSync('/proc/self/fdinfo').map((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
    } catch {
      return '' // the descriptor of the listing itself
    }
  })
  return own.join('').split('inotify wd:').length - 1
}

const pairs = t.testdir()
const [old, renewed] = [makePair(pairs, 'old'), makePair(pairs, 'renewed')]

void t.test('a renewed certificate is shown to new connections, and open ones stay', async (t) => {
  const { files, listener } = await listenWith(t, old)
  const open = await dial(t, listener.url)
  t.equal(await shown(t, listener), 'old')
  writeFileSync(files.key, renewed.key)
  writeFileSync(files.cert, renewed.cert)
  await shows(t, listener, 'renewed')
  open.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [answer] = (await once(open as never, 'data')) as [Buffer]
  t.match(String(answer), /^HTTP\/1\.1 200/)
})

void t.test('while key and certificate do not fit, or one is half written or gone, the old pair serves', async (t) => {
  const { files, listener } = await listenWith(t, old)
  const broken: Array<() => void> = [
    () => writeFileSync(files.key, renewed.key),
    () => writeFileSync(files.cert, renewed.cert.slice(0, 200)),
    () => writeFileSync(files.cert, ''),
    () => rmSync(files.cert),
  ]
  for (const damage of broken) {
    damage()
    for (let turn = 0; turn < 5; turn++) t.equal(await shown(t, listener), 'old')
  }
  writeFileSync(files.cert, renewed.cert)
  await shows(t, listener, 'renewed')
})

void t.test('a link that is turned to another file, as certbot does, is noticed', async (t) => {
  const { files, listener } = await listenWith(t, old)
  for (const kind of ['key', 'cert'] as const) {
    writeFileSync(`${files[kind]}.2`, renewed[kind])
    rmSync(files[kind])
    symlinkSync(`${files[kind]}.2`, files[kind])
  }
  await shows(t, listener, 'renewed')
})

void t.test('who no longer listens, or without TLS, watches no files', async (t) => {
  const before = watched()
  const { listener } = await listenWith(t, old)
  t.equal(watched(), before + 1, 'both files lie in one directory')
  await listener.listen({ address: '127.0.0.1', port: 0 })
  t.equal(watched(), before)
})
