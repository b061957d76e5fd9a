import 'reflect-metadata'
import { execFile } from 'node:child_process'
import { KeyObject, webcrypto } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509'
import t, { type Test } from 'tap'
import { Config } from '../../../core/config/config.ts'
import type { HostFacts } from '../../../core/plugin/host-control.ts'
import { checkNode, examineHost } from '../driver/machine.ts'
import { checkReach } from '../driver/reach.ts'

const dayMs = 86_400_000

/** Facts of a host with this host.json and everything in order, in directories of its own. */
async function facts(t: Test, host: object = {}, more: Partial<HostFacts> = {}): Promise<HostFacts> {
  const dir = mkdtempSync(join(tmpdir(), 'patchbay-host-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'host.json'), JSON.stringify(host))
  const { host: config } = await Config.open({ configDir: dir, env: {} })
  return { config, problems: [], configDir: dir, dataDir: dir, hasOwner: true, commandName: 'patchbay', ...more }
}

/** A certificate for 127.0.0.1 that ends in so many days, signed by itself. */
async function certificate(days: number): Promise<{ cert: string; key: string }> {
  const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify'])
  const cert = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=127.0.0.1',
    keys,
    notBefore: new Date(Date.now() - 90 * dayMs),
    notAfter: new Date(Date.now() + days * dayMs),
    extensions: [new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  })
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()
  return { cert: cert.toString('pem'), key }
}

const wrong = async (known: HostFacts) => (await examineHost(known)).filter(({ ok }) => !ok)

void t.test('a host with everything in order has nothing to mend', async (t) => {
  const all = await examineHost(await facts(t, { publicUrl: 'https://pi.example' }))
  t.same(
    all.map(({ kind, ok }) => `${kind} ${ok}`),
    ['node true', 'config true', 'access true', 'data true', 'clock true', 'listening true', 'reach true'],
  )
  t.match(all[0]?.sentence, new RegExp(`^Node\\.js is ${process.version} on `))
  t.match(all.at(-1)?.sentence, /shows when the daemon runs\.$/)
})

void t.test('an old Node.js, and one for 32 bits, will not do', async (t) => {
  const of = (version: string, arch: NodeJS.Architecture) => checkNode({ version, arch })
  t.match(of('v20.19.0', 'arm64'), [{ kind: 'node', ok: true, sentence: 'Node.js is v20.19.0 on arm64.' }])
  t.match(of('v24.1.0', 'x64'), [{ ok: true }])
  t.match(of('v20.18.3', 'arm64'), [{ ok: false, optional: false, sentence: /20\.19 is the lowest that will do\.$/ }])
  t.match(of('v18.20.4', 'arm64'), [{ ok: false }])
  t.match(of('v22.0.0', 'arm'), [{ ok: false, optional: false, sentence: /32-bit Node\.js \(arm\)/ }])
})

void t.test('what is wrong in a configuration file is told with the command that opens it there', async (t) => {
  const problems = [
    { file: 'host.json', line: 3, message: '"prot" is not a setting' },
    { file: 'PATCHBAY_PORT', line: 0, message: '"port" must be integer' },
  ]
  const { config, ...known } = await facts(t, {}, { problems, configDir: "/etc/it's" })
  t.match(await wrong(known), [
    {
      kind: 'config',
      optional: false,
      sentence: 'host.json, line 3: "prot" is not a setting.',
      mend: String.raw`sudo editor +3 '/etc/it'\''s/host.json'`,
    },
    { kind: 'config', sentence: 'PATCHBAY_PORT: "port" must be integer.', mend: undefined },
  ])
})

void t.test('no owner, no way in from outside and an open network are told, and break nothing', async (t) => {
  const found = await wrong(await facts(t, { address: '0.0.0.0' }, { hasOwner: false }))
  t.match(found, [
    { kind: 'access', optional: true, mend: /^patchbay access add / },
    { kind: 'listening', optional: true, sentence: /Without TLS/, mend: 'patchbay https' },
    { kind: 'reach', optional: true, sentence: /^No publicUrl is set/, mend: /^patchbay config set publicUrl https:/ },
  ])
  t.match(await wrong(await facts(t, { publicUrl: 'http://pi.example' })), [
    { kind: 'reach', optional: true, sentence: /is not https/ },
  ])
})

void t.test('a data directory that others may enter is told, one that is not there yet is no problem', async (t) => {
  const known = await facts(t, { publicUrl: 'https://pi.example' })
  chmodSync(known.dataDir, 0o755)
  t.match(await wrong(known), [
    {
      kind: 'data',
      ok: false,
      optional: false,
      sentence: /is open to others \(mode 755\)/,
      mend: `sudo chmod 700 '${known.dataDir}'`,
    },
  ])
  t.same(await wrong({ ...known, dataDir: join(known.dataDir, 'none') }), [])
  t.match(await wrong({ ...known, dataDir: '/etc/passwd/none' }), [{ kind: 'data', sentence: /cannot be looked at \(ENOTDIR\)/ }])
})

void t.test("a data directory that is another user's is told with what to do, and never given to whoever asks", async (t) => {
  const { config, ...known } = await facts(t)
  t.same(
    (await wrong({ ...known, dataDir: '/' })).map(({ sentence }) => /belongs to/.test(sentence)),
    process.getuid?.() === 0 ? [false] : [true, false],
    'root may look at all',
  )
  const module = JSON.stringify(new URL('../driver/machine.ts', import.meta.url).href)
  const script = `import { examineHost } from ${module}
    if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534) }
    const facts = { problems: [], configDir: '/', dataDir: '/', hasOwner: true, commandName: 'patchbay' }
    const running = { instance: 'one', refusedHosts: new Map() }
    const found = [await examineHost(facts), await examineHost({ ...facts, running })].flat()
    console.log(JSON.stringify(found.filter(({ sentence }) => /belongs to/.test(sentence))))`
  const args = ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  t.match(JSON.parse(stdout), [
    { ok: false, sentence: /^The data directory \/ belongs to user number 0, not to \d+/, mend: "sudo -u '#0' patchbay doctor" },
    { ok: false, mend: /^sudo chown -R \d+ '\/'$/ },
  ])
})

void t.test('a clock from before the daemon was built is told', async (t) => {
  const RealDate = Date
  t.teardown(() => {
    globalThis.Date = RealDate
  })
  const known = await facts(t, { publicUrl: 'https://pi.example' })
  globalThis.Date = class extends RealDate {
    constructor() {
      super(0)
    }
  } as DateConstructor
  const found = await wrong(known)
  globalThis.Date = RealDate
  t.match(found, [{ kind: 'clock', sentence: /^The clock says 1970-01-01/, mend: 'sudo timedatectl set-ntp true' }])
})

void t.test('a certificate is told that has ended, ends soon or cannot be read', async (t) => {
  const known = await facts(t)
  const cert = join(known.dataDir, 'cert.pem')
  const found = async (dataDir = known.dataDir) => {
    const config = {
      ...(known.config as NonNullable<HostFacts['config']>),
      publicUrl: 'https://pi.example',
      tls: { cert, key: '' },
    }
    return (await examineHost({ ...known, config, dataDir })).find(({ kind }) => kind === 'certificate')
  }
  t.match(await found(), { ok: false, sentence: /cannot be read \(ENOENT\)/ })
  for (const [days, expected] of [
    [-1, { ok: false, optional: false, sentence: /ended on \d{4}-/, mend: 'patchbay https' }],
    [7, { ok: false, optional: true, sentence: /ends on \d{4}-/ }],
    [60, { ok: true, sentence: /^The certificate is good until / }],
  ] as const) {
    writeFileSync(cert, (await certificate(days)).cert)
    t.match(await found(), expected, `${days} days`)
  }
  writeFileSync(cert, (await certificate(-1)).cert)
  t.match(
    await found('/elsewhere'),
    { ok: false, mend: `openssl x509 -noout -text -in '${cert}'` },
    'one that somebody else made',
  )
})

void t.test(
  'names that requests came for in vain are told, the latest first, and only a plain one gets into a command',
  async (t) => {
    const at = Date.UTC(2026, 0, 2)
    const names = [
      '',
      'old.example',
      'under_score.example',
      '203.0.113.7',
      '2001:db8::1',
      'new.tunnel.example',
      "x';reboot;'.example",
      'evil\u202e.example',
    ]
    const refusedHosts = new Map(names.map((name, index) => [name, { count: index + 1, at }]))
    const known = await facts(t, { publicUrl: 'http://pi.example' }, { running: { instance: 'one', refusedHosts } })
    const found = (await wrong(known)).filter(({ kind }) => kind === 'host-name')
    t.match(found, [
      {
        name: 'new.tunnel.example',
        optional: true,
        sentence:
          /^Requests arrive for the name "new\.tunnel\.example", .*6 requests, the last at 2026-01-02T00:00:00Z.*set publicUrl\.$/,
        mend: 'patchbay config set publicUrl https://new.tunnel.example',
      },
      { name: 'under_score.example', mend: undefined },
      { name: 'old.example', sentence: /2 requests/ },
    ])
    t.equal(found.length, 3)
  },
)

void t.test('the publicUrl leads here only if this very start of the daemon answers', async (t) => {
  const { cert, key } = await certificate(1)
  let instance: string | undefined = 'this one'
  const server = createServer({ cert, key }, (_request, response) => {
    if (instance !== undefined) response.setHeader('X-Patchbay-Instance', instance)
    response.end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const publicUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { config, dataDir } = await facts(t, { publicUrl })
  const reach = async (more: object = {}) => {
    const [finding] = await checkReach({ ...(config as NonNullable<HostFacts['config']>), ...more }, 'patchbay', {
      instance: 'this one',
    })
    return finding
  }
  t.match(await reach(), {
    ok: false,
    optional: true,
    sentence: /leads here, with a certificate that this machine does not trust/,
  })
  t.match(
    await reach({ tls: { cert: '', key: '' } }),
    { ok: true, sentence: /leads here\..*Telegram does not\.$/ },
    "the listener's own",
  )
  instance = 'another'
  t.match(await reach(), { ok: false, optional: false, sentence: /another Patchbay/ })
  instance = undefined
  t.match(await reach(), { ok: false, sentence: /something that is not Patchbay/ })

  instance = 'this one'
  writeFileSync(join(dataDir, 'ca.pem'), cert)
  const module = JSON.stringify(new URL('../driver/reach.ts', import.meta.url).href)
  const script = `import { checkReach } from ${module}
    console.log(JSON.stringify(await checkReach({ publicUrl: '${publicUrl}' }, 'patchbay', { instance: 'this one' })))`
  const args = ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script]
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(dataDir, 'ca.pem') }
  const { stdout } = await promisify(execFile)(process.execPath, args, { env })
  t.match(JSON.parse(stdout), [{ ok: true, sentence: `${publicUrl} leads here.` }])

  server.close()
  server.closeAllConnections()
  t.match(await reach(), { ok: false, optional: false, sentence: /does not lead here from this machine \(ECONNREFUSED\)/ })
})
