import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createAuthority, createServerCertificate } from '../../scripts/cli/certificate.ts'
import { hardwareOff, Place, reached } from '../cli/daemon.ts'
import { type Manifest, pluginFiles, Registry, tarball } from '../cli/packages.ts'

t.setTimeout(300_000)

const off = { plugins: hardwareOff }

/** A place whose user has this registry, and every setting by which npm could be made to run something. */
async function create(t: Test, url: string, more = ''): Promise<Place> {
  const place = await Place.create(t, { plugins: off })
  const evil = join(place.dir, 'evil')
  await writeFile(evil, `#!/bin/sh\ntouch '${place.dir}/RAN'\n`, { mode: 0o755 })
  await writeFile(`${evil}.cjs`, `require('fs').writeFileSync('${place.dir}/RAN', '')`)
  const lines = [
    'ignore-scripts=false',
    `script-shell=${evil}`,
    `git=${evil}`,
    `node-options=--require ${evil}.cjs`,
    `prefix=${place.dir}/elsewhere`,
  ]
  await writeFile(
    join(place.dir, '.npmrc'),
    [`registry=${url}`, ...lines, `onload-script=${evil}.cjs`, 'omit-lockfile-registry-resolved=true', more, ''].join('\n'),
  )
  return place
}

async function said(place: Place, ...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const program = place.run(['plugins', ...args])
  return { code: await program.exited, out: program.stdout, err: program.stderr }
}

/** Publishes a plugin. */
async function publish(
  registry: Registry,
  id: string,
  manifest: Manifest = {},
  start = '',
  more: Record<string, string> = {},
): Promise<void> {
  const files = { ...pluginFiles(id, manifest, {}, start), ...more }
  await registry.publish(JSON.parse(files['package.json'] as string) as Manifest, files)
}

const nothingRan = async (t: Test, place: Place) => t.notOk((await readdir(place.dir)).includes('RAN'), 'nothing was run')
const inPlugins = async (place: Place) => (await readdir(join(place.dataDir, 'plugins'))).sort()

void t.test('from the registry with what it depends on, and no script runs', async (t) => {
  const registry = await Registry.open(t)
  const place = await create(t, registry.url)
  const touch = `touch '${place.dir}/RAN'`
  const scripts = { preinstall: touch, install: touch, postinstall: touch, prepare: touch, prepack: touch, dependencies: touch }
  await registry.publish({
    name: 'deep',
    version: '1.2.3',
    scripts,
    hasInstallScript: true,
    bin: { npm: './index.js', node: './index.js' },
  })
  await registry.publish({ name: 'deep', version: '2.0.0' })
  await registry.publish({ name: '@me/bulb', version: '1.0.0', dependencies: { deep: '^1.0.0' }, scripts })
  await registry.publish({ name: 'for-windows', version: '1.0.0', os: ['win32'] })
  const dependencies = { '@me/bulb': '^1.0.0', deep: '2.0.0', other: 'npm:deep@1' }
  const start = `return import('node:module').then(({ createRequire }) => {
    if (createRequire(import.meta.url)('@me/bulb') !== 1) throw new Error('it is not there')
  })`
  const npmrc = `registry=http://127.0.0.1:1/\nscript-shell=${place.dir}/evil\nignore-scripts=false\n`
  const manifest = {
    dependencies,
    optionalDependencies: { 'for-windows': '1.0.0' },
    scripts,
    devDependencies: { 'not-there': '1.0.0' },
  }
  await publish(registry, 'lamp', manifest, start, {
    '.npmrc': npmrc,
    'package-lock.json': '{}',
  })

  const client = await (await place.start()).client()
  const added = await said(place, 'add', 'patchbay-lamp')
  t.equal(added.code, 0, added.err)
  t.match(added.out, /^Added lamp 1\.0\.0, with 4 packages that it depends on\.\nsha512-\S+\n/)
  t.match(added.out, /Its \.npmrc does not count here and was left out\.\nIts package-lock\.json does not count/)
  t.match(added.out, /deep, which it depends on, wanted to run a script; it did not/)
  const dir = join(place.dataDir, 'plugins/lamp')
  const versionAt = async (at: string) =>
    (JSON.parse(await readFile(join(dir, 'node_modules', at, 'package.json'), 'utf8')) as { version: string }).version
  t.same(
    [await versionAt('deep'), await versionAt('@me/bulb/node_modules/deep'), await versionAt('other')],
    ['2.0.0', '1.2.3', '1.2.3'],
  )
  t.same((await readdir(join(dir, 'node_modules'))).sort(), ['@me', 'deep', 'other'], 'no .bin, nothing for other machines')
  const record = JSON.parse(await readFile(join(dir, '.patchbay-installed.json'), 'utf8')) as { dependencies: object }
  t.match(record, {
    source: 'npm',
    from: 'patchbay-lamp',
    dependencies: { 'node_modules/@me/bulb': { version: '1.0.0', integrity: /^sha512-/ } },
  })
  await nothingRan(t, place)
  t.equal((await said(place, 'enable', 'lamp', '--yes')).code, 0)
  await reached(client, 'lamp', 'running')

  t.match(await said(place, 'update'), { code: 0, out: 'lamp 1.0.0 is what is there.\n' })
  await publish(registry, 'lamp', { version: '1.1.0' })
  t.match(await said(place, 'update', 'lamp'), {
    code: 0,
    out: /^Updated lamp from 1\.0\.0 to 1\.1\.0\. To go back: .* plugins rollback lamp\n/,
  })
  t.match(await said(place, 'rollback', 'lamp'), { code: 0, out: /^lamp is 1\.0\.0 again/ })
  t.equal(await versionAt('deep'), '2.0.0')
  t.match(await said(place, 'add', 'patchbay-lamp@1.1.0'), { code: 0, out: /^Updated lamp from 1\.0\.0 to 1\.1\.0/ })
  t.match(await said(place, 'update'), { code: 0, out: 'lamp 1.1.0 is what is there.\n' })
  await nothingRan(t, place)
  t.same(await readdir(join(place.dataDir, 'plugins/.patchbay')), ['lock', 'previous'])
})

void t.test('nothing is fetched from elsewhere, whoever names it', async (t) => {
  const [registry, elsewhere] = [await Registry.open(t), await Registry.open(t)]
  const place = await create(t, registry.url)
  await elsewhere.publish({ name: 'thing', version: '1.0.0' })
  const sha = '0123456789012345678901234567890123456789'
  const specs = {
    url: `${elsewhere.url}thing/-/1.0.0.tgz`,
    git: `git+file://${place.dir}/repository`,
    hub: `github:someone/thing#${sha}`,
    file: `file:${place.dir}`,
  }
  for (const [name, spec] of Object.entries(specs)) {
    await registry.publish({ name: `names-${name}`, version: '1.0.0', dependencies: { thing: spec } })
    await publish(registry, name, { dependencies: { [`names-${name}`]: '1.0.0' } })
    const { code, err } = await said(place, 'add', `patchbay-${name}`)
    t.equal(code, 1)
    t.match(err, /elsewhere than the registry|does not come from the registry|come by git/, name)
  }
  // A registry that sends npm somewhere else.
  await registry.publish({ name: 'patchbay-moved', version: '1.0.0' }, {}, { tarball: `${elsewhere.url}thing/-/1.0.0.tgz` })
  t.match(await said(place, 'add', 'patchbay-moved'), {
    code: 1,
    err: /^It is to be fetched from elsewhere than the registry \(127\.0\.0\.1:\d+\), which is refused\.\n$/,
  })
  t.same(elsewhere.asked, [])
  await nothingRan(t, place)
  t.same(await inPlugins(place), ['.patchbay'])
})

void t.test('what is not what the registry announced, or has no place in a package, is refused', async (t) => {
  const registry = await Registry.open(t)
  const place = await create(t, registry.url)
  const wrong = { integrity: `sha512-${Buffer.alloc(64).toString('base64')}` }
  const files = pluginFiles('lamp')
  await registry.publish(JSON.parse(files['package.json'] as string) as Manifest, files, wrong)
  t.match(await said(place, 'add', 'patchbay-lamp'), { code: 1, err: /^What came is not what the registry announced\. npm: / })

  await registry.publish({ name: 'wrong', version: '1.0.0' }, {}, wrong)
  await registry.publish(
    { name: 'weak', version: '1.0.0' },
    {},
    { integrity: undefined, shasum: 'da39a3ee5e6b4b0d3255bfef95601890afd80709' },
  )
  const link = await tarball([
    { path: 'package/package.json', text: '{"name":"linked","version":"1.0.0"}' },
    { path: 'package/etc', type: 'SymbolicLink', linkpath: '/etc' },
  ])
  await registry.publish({ name: 'linked', version: '1.0.0' }, link)
  await registry.publish(
    { name: 'holding', version: '1.0.0', bundleDependencies: ['held'], dependencies: { held: '1.0.0' } },
    { 'node_modules/held/package.json': '{"name":"held","version":"1.0.0"}' },
  )
  await registry.publish({ name: 'for-windows', version: '1.0.0', os: ['win32'] })
  const sentences = {
    wrong: /^What came is not what the registry announced/,
    weak: /^What it depends on is refused: node_modules\/weak is not announced with a SHA-512 hash/,
    linked: /^The package is refused: "package\/etc" is a SymbolicLink/,
    holding: /brings node_modules of its own|lies inside another package/,
    'for-windows': /not for this machine|Unsupported platform/,
    missing: /npm: 404 Not Found/,
  }
  for (const [name, sentence] of Object.entries(sentences)) {
    await publish(registry, `with-${name}`, { dependencies: { [name]: '1.0.0' } })
    t.match(await said(place, 'add', `patchbay-with-${name}`), { code: 1, err: sentence }, name)
  }
  t.match(await said(place, 'add', 'none'), { code: 1, err: /^npm: 404 Not Found/ })
  t.match(await said(place, 'add', 'patchbay-lamp@9'), { code: 1, err: /^npm: No matching version found for patchbay-lamp@9/ })
  t.same(await inPlugins(place), ['.patchbay'])
  await nothingRan(t, place)
})

void t.test("the machine's registry, login, authority and proxy count", async (t) => {
  const authority = await createAuthority('test', ['localhost'])
  const registry = await Registry.open(t, await createServerCertificate(authority, { names: ['localhost'], addresses: [] }))
  await publish(registry, 'lamp')
  const { port } = new URL(registry.url)
  const place = await create(t, `https://localhost:${port}/`)
  t.match(await said(place, 'add', 'patchbay-lamp'), { code: 1, err: /certificate/ })

  const ca = join(place.dir, 'ca.pem')
  await writeFile(ca, authority.cert)
  const tunnels: string[] = []
  const proxy = createServer().on('connect', (asked, socket) => {
    tunnels.push(`${String(asked.headers['proxy-authorization'])} ${asked.url}`)
    const far = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      far.pipe(socket).pipe(far)
    })
    far.on('error', () => socket.destroy())
    socket.on('error', () => far.destroy())
  })
  const plain: string[] = []
  const http = await Registry.open(t)
  await publish(http, 'fan')
  proxy.on('request', (asked, answer) => {
    plain.push(`${String(asked.headers.authorization)} ${new URL(asked.url as string).host}`)
    const { pathname } = new URL(asked.url as string)
    asked.pipe(
      request({ port: new URL(http.url).port, path: pathname, headers: asked.headers }, (said) => {
        answer.writeHead(said.statusCode as number, said.headers)
        said.pipe(answer)
      }),
    )
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => proxy.close())
  const via = `http://me:secret@127.0.0.1:${(proxy.address() as AddressInfo).port}`
  await writeFile(join(place.dir, '.npmrc'), `registry=https://localhost:${port}/\ncafile=${ca}\nhttps-proxy=${via}\n`)
  const added = await said(place, 'add', 'patchbay-lamp')
  t.equal(added.code, 0, added.err)
  t.equal(tunnels[0], `Basic ${Buffer.from('me:secret').toString('base64')} localhost:${port}`)

  await writeFile(
    join(place.dir, '.npmrc'),
    `registry=http://registry.invalid/\n//registry.invalid/:_authToken=\${TOKEN}\nproxy=${via}\n`,
  )
  const program = place.run(['plugins', 'add', 'patchbay-fan'], { TOKEN: 'abc' })
  t.equal(await program.exited, 0, program.stderr)
  t.equal(plain[0], 'Bearer abc registry.invalid')
})

void t.test('interrupted while npm waits for the registry, nothing is there; npm ends too', async (t) => {
  const server = createServer(() => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const place = await create(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const asked = new Promise<void>((resolve) => server.once('request', () => resolve()))
  const program = place.run(['plugins', 'add', 'patchbay-lamp'])
  await asked
  await program.kill('SIGKILL')
  t.same(await inPlugins(place), ['.patchbay'])
  server.closeAllConnections()

  const registry = await Registry.open(t)
  await publish(registry, 'lamp')
  await writeFile(join(place.dir, '.npmrc'), `registry=${registry.url}\n`)
  const { code, err } = await said(place, 'add', 'patchbay-lamp')
  t.equal(code, 0, err)
  t.same(await readdir(join(place.dataDir, 'plugins/.patchbay')), ['lock', 'previous'])
})
