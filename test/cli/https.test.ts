import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:https'
import { type AddressInfo, createServer, type LookupFunction } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { io } from 'socket.io-client'
import t, { type Test } from 'tap'
import { connected } from '../../core/testing/host.ts'
import { signedInitData } from '../../core/testing/init-data.ts'
import { createAuthority, createServerCertificate, domainsOf } from '../../scripts/cli/certificate.ts'
import { botToken, Place } from './daemon.ts'

const name = `${(hostname().split('.')[0] as string).toLowerCase()}.local`

async function placeOnFreePort(t: Test, host: object = {}) {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const place = await Place.create(t, { host: { port, ...host } })
  place.env.PATCHBAY_PORT = String(port)
  const file = (file: string) => join(place.dataDir, 'tls', file)
  return { place, port, file, read: (path: string) => readFileSync(file(path), 'utf8') }
}

async function https(place: Place, ...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const program = place.run(['https', ...args])
  return { code: await program.exited, out: program.stdout, err: program.stderr }
}

/** Every name is this machine, as mDNS would say. */
const lookup: LookupFunction = (_name, { all }, answer) =>
  all ? answer(null, [{ address: '127.0.0.1', family: 4 }]) : answer(null, '127.0.0.1', 4)

/** The status, and whose certificate it came with. Rejects if that is not trusted. */
function ask(url: string, agent: Agent, headers = {}): Promise<{ status?: number | undefined; serial: string }> {
  return new Promise((resolve, reject) => {
    const sent = get(url, { agent, headers }, (response) => {
      const { serialNumber } = (response.socket as import('node:tls').TLSSocket).getPeerCertificate()
      resolve({ status: response.resume().statusCode, serial: serialNumber })
    })
    sent.on('error', reject)
  })
}

void t.test('browsers of the house come in by name, over HTTPS, once they trust the authority', async (t) => {
  const { place, port, file, read } = await placeOnFreePort(t)
  const daemon = await place.start()
  t.match(daemon.url, /^http:/)
  const { code, out } = await https(place)
  t.equal(code, 0)
  t.match(out, `Open https://${name}:${port}`)
  t.match(out, 'It listens on 127.0.0.1 only')
  t.match(out, `SHA-256 ${new X509Certificate(read('authority.crt')).fingerprint256}`)
  for (const key of ['authority.key', 'server.key']) t.equal(statSync(file(key)).mode & 0o777, 0o600, key)

  const agent = new Agent({ ca: read('authority.crt'), lookup })
  const url = `https://${name}:${port}`
  const first = await until(() => ask(`${url}/healthz`, agent, { origin: url }))
  t.equal(first.status, 200, 'the name is known as Host and as Origin')
  t.equal((await ask(`https://127.0.0.1:${port}/healthz`, agent)).status, 200, 'the addresses are in it too')
  await t.rejects(ask(`${url}/healthz`, new Agent({ lookup })), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })

  const auth = { initData: signedInitData(botToken, 1000) }
  const options = { auth, agent: agent as never, forceNew: true, reconnection: false, extraHeaders: { origin: url } }
  const socket = io(url, { ...options, transports: ['websocket'] })
  t.teardown(() => socket.close())
  const client = await connected(socket)
  t.match(await client.ask('host:sessions'), { success: true })

  const serial = new X509Certificate(read('server.crt')).serialNumber
  t.equal(first.serial, serial)
  t.match((await https(place)).out, /^There is a certificate/)
  t.equal(new X509Certificate(read('server.crt')).serialNumber, serial, 'run again, it stands')

  const authority = read('authority.crt')
  t.match((await https(place, '--renew')).out, /^Made a certificate/)
  await until(async () => {
    const { serial: now } = await ask(`${url}/healthz`, new Agent({ ca: authority, lookup }))
    if (now === serial) throw new Error('the daemon shows the old certificate')
  })
  t.equal((await https(place, '--authority')).out, authority)
  t.ok(client.socket.connected, 'who was there stays')
})

void t.test('it adds to host.json and keeps what stands there', async (t) => {
  const { place, port, read } = await placeOnFreePort(t)
  await place.write(
    'host',
    `{\n  // ours\n  "hosts": ["pi.example.org"], "publicUrl": "https://pi.example.org", "port": ${port}\n}\n`,
  )
  const { out, code } = await https(place, '--name', 'Pi.home.arpa', '--name', 'pi.example.net')
  t.equal(code, 0)
  t.match(out, 'A tunnel or proxy for https://pi.example.org must be told')
  const text = readFileSync(join(place.configDir, 'host.json'), 'utf8')
  t.match(text, '// ours')
  const tls = { cert: join(place.dataDir, 'tls/server.crt'), key: join(place.dataDir, 'tls/server.key') }
  t.match(JSON.parse(text.replace('// ours', '')), {
    hosts: ['pi.example.org', name, 'pi.home.arpa', 'pi.example.net'],
    origins: [`https://${name}:${port}`, `https://pi.home.arpa:${port}`, `https://pi.example.net:${port}`],
    tls,
  })
  t.equal(new X509Certificate(read('server.crt')).checkHost('pi.example.net'), 'pi.example.net')
  t.match(await domainsOf(read('authority.crt')), ['local', 'localhost', 'home.arpa', 'internal', 'pi.example.net'])
  t.match((await https(place)).out, /^There is a certificate for .*pi\.example\.net/, 'names that were given once stay')
  t.equal(readFileSync(join(place.configDir, 'host.json'), 'utf8'), text, 'and nothing is written twice')
})

void t.test('what cannot be done is told, and nothing is changed', async (t) => {
  const { place, file, read } = await placeOnFreePort(t)
  t.match(await https(place, '--authority'), { code: 1, err: /^Run npx patchbay https first/ })
  for (const wrong of ['app', 'a..b', '192.168.1.1', '-a.b', 'x_y'])
    t.match(await https(place, `--name=${wrong}`), { code: 1, err: /is not a full name such as/ }, wrong)
  await https(place)
  const before = read('server.crt')
  t.match(await https(place, '--name', 'pi.example.org'), { code: 1, err: /may not vouch for pi\.example\.org\. .*rm -r/ })
  t.equal(read('server.crt'), before)
  writeFileSync(file('server.key'), read('authority.key'))
  t.match(await https(place), { code: 1, err: /do not belong together/ })
  await place.write('host', { tls: { cert: '/etc/a.crt', key: '/etc/a.key' } })
  t.match(await https(place), { code: 1, err: /host\.json names another certificate, \/etc\/a\.crt/ })
})

void t.test('an authority cannot vouch for the internet, as openssl judges', async (t) => {
  const dir = t.testdir()
  const write = (file: string, text: string) => {
    writeFileSync(join(dir, file), text)
    return join(dir, file)
  }
  const authority = await createAuthority('Patchbay on test', ['local', 'pi.example.org'])
  const ca = write('ca.crt', authority.cert)
  const judged = async (names: string[], addresses: string[] = []) => {
    const { cert } = await createServerCertificate(authority, { names, addresses })
    const { validFrom, validTo } = new X509Certificate(cert)
    t.ok(Date.parse(validTo) - Date.parse(validFrom) <= 365 * 86_400_000)
    try {
      const args = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', ca, write('server.crt', cert)]
      return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
        .trim()
        .slice(-2)
    } catch (error) {
      return /permitted subtree violation/.exec(String((error as { stderr: string }).stderr))?.[0]
    }
  }
  t.equal(await judged(['pi.local', 'pi.example.org'], ['192.168.1.7', '10.0.0.1', '127.0.0.1', '::1', 'fd00::5']), 'OK')
  for (const stranger of ['example.com', 'example.org', 'local.example.com'])
    t.equal(await judged([stranger]), 'permitted subtree violation', stranger)
  for (const address of ['8.8.8.8', '2001:4860:4860::8888', '172.32.0.1'])
    t.equal(await judged(['pi.local'], [address]), 'permitted subtree violation', address)
})

/** Tries until it works: the daemon reads its files a moment later. */
async function until<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
