import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isLoopback, isPrivate } from '../../core/auth/address.ts'
import { Config } from '../../core/config/config.ts'
import { resolvePaths } from '../../core/config/paths.ts'
import { writeWhole } from '../../core/write-whole.ts'
import { createAuthority, createServerCertificate, domainsOf, type Pair, privateDomains } from './certificate.ts'
import type { Installation } from './main.ts'

const renewalDays = 60

/** HTTPS on the local network: an authority of this machine's own, a certificate by it, and host.json told of both. Run again, it renews. */
export async function https(args: string[], { root, commandName }: Installation): Promise<void> {
  const options = {
    name: { type: 'string', multiple: true },
    renew: { type: 'boolean' },
    authority: { type: 'boolean' },
  } as const
  const { values } = parseArgs({ args, options })
  const { configDir, dataDir } = resolvePaths(process.env, root)
  const files = filesIn(join(dataDir, 'tls'))
  if (values.authority) {
    process.stdout.write(await readFile(files.authority.cert, 'utf8').catch(() => giveUp(`Run ${commandName} https first.`)))
    return
  }
  const config = await Config.open({ configDir, env: process.env })
  const { tls, port, address, publicUrl } = config.host
  if (tls && tls.cert !== files.server.cert)
    throw new Error(`host.json names another certificate, ${tls.cert}. Take "tls" out of it first.`)

  const ownName = `${(hostname().split('.')[0] as string).toLowerCase()}.local`
  const given = (values.name ?? []).map(judgeName)
  const before = await readPair(files.server)
  const names = [...new Set([ownName, 'localhost', ...given, ...namesOf(before?.cert)])]
  const addresses = ownAddresses()

  await mkdir(join(dataDir, 'tls'), { recursive: true, mode: 0o700 })
  const authority = (await readPair(files.authority)) ?? (await writePair(files.authority, await newAuthority(names)))
  const stranger = await unknownTo(authority, names)
  if (stranger)
    throw new Error(
      `The authority of this machine may not vouch for ${stranger}. For a new one, which every device has to be told to trust again: rm -r '${join(dataDir, 'tls')}', then run this again.`,
    )
  const stands = before !== undefined && !values.renew && fits(before, authority, names, addresses)
  const server = stands ? before : await writePair(files.server, await createServerCertificate(authority, { names, addresses }))

  const { validTo } = new X509Certificate(server.cert)
  await tellHost(config, names, files.server)
  await config.close()
  const url = originOf(ownName, port)
  const isLocal = isLoopback(address) || address === 'localhost'
  const lines = [
    `${stands ? 'There is' : 'Made'} a certificate for ${[...names, ...addresses].join(', ')}.`,
    `It is valid until ${new Date(validTo).toISOString().slice(0, 10)}. Run this again before then, and when a name or an address has changed.`,
    `Open ${url} (a daemon that runs speaks HTTPS from now on, and no longer HTTP).`,
    ...(isLocal ? [`It listens on ${address} only: set "address": "0.0.0.0" in ${join(configDir, 'host.json')}.`] : []),
    ...(publicUrl ? [`A tunnel or proxy for ${publicUrl} must be told that Patchbay speaks HTTPS now.`] : []),
    '',
    ...howToTrust(authority, files.authority.cert, `${commandName} https --authority`),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** The names before the certificate: whoever comes by HTTPS finds them known. What the file has already is left as it is. */
async function tellHost(config: Config, names: readonly string[], tls: Files): Promise<void> {
  const { hosts, origins, port } = config.host
  // loopback is always known
  const strangers = names.filter((name) => name !== 'localhost')
  const add = async (key: string, known: readonly string[], wanted: readonly string[]) => {
    const missing = wanted.filter((entry) => !known.includes(entry))
    if (missing.length > 0) await config.update('host', [key], [...known, ...missing])
  }
  await add('hosts', hosts, strangers)
  if (port !== 0)
    await add(
      'origins',
      origins,
      strangers.map((name) => originOf(name, port)),
    )
  if (config.host.tls?.key !== tls.key) await config.update('host', ['tls'], tls)
}

function howToTrust({ cert }: Pair, file: string, printIt: string): string[] {
  return [
    'Each device must be told once to trust the authority of this machine, which can vouch for private names and addresses only.',
    `  ${file}`,
    `  SHA-256 ${new X509Certificate(cert).fingerprint256}`,
    `Fetch it from another computer:  ssh <this machine> ${printIt} > patchbay.crt`,
    'Compare the fingerprint with the one above, then:',
    '  iPhone, iPad  open the file, install the profile, then Settings > General > About > Certificate Trust Settings',
    '  Android       Settings > Security > Encryption & credentials > Install a certificate > CA certificate',
    '  macOS         sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain patchbay.crt',
    '  Windows       certutil -addstore -user Root patchbay.crt',
    '  Debian        sudo cp patchbay.crt /usr/local/share/ca-certificates/ && sudo update-ca-certificates',
    '  Firefox       Settings > Privacy & Security > View Certificates > Authorities > Import',
    '',
    'This is for browsers at home. A Telegram Mini App needs a certificate that everybody trusts: a tunnel, or a domain of yours.',
  ]
}

type Files = { readonly cert: string; readonly key: string }

function filesIn(directory: string): { readonly authority: Files; readonly server: Files } {
  const pair = (name: string) => ({ cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) })
  return { authority: pair('authority'), server: pair('server') }
}

/** In lower case. One without a dot is refused: a constraint to `app` would let the authority vouch for all of `.app`. */
function judgeName(name: string): string {
  const lower = name.toLowerCase()
  if (
    lower.length <= 253 &&
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.[a-z]([a-z0-9-]*[a-z0-9])?$/.test(lower)
  )
    return lower
  throw new Error(`${JSON.stringify(name)} is not a full name such as pi.home.arpa.`)
}

function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list = []) => list.map(({ address }) => address))
  return ['127.0.0.1', '::1', ...new Set(all.filter((address) => isPrivate(address) && !/^fe[89ab]/i.test(address)))]
}

function newAuthority(names: readonly string[]): Promise<Pair> {
  return createAuthority(`Patchbay on ${hostname()}`.slice(0, 64), [
    ...privateDomains,
    ...names.filter((name) => !isWithin(name, privateDomains)),
  ])
}

async function unknownTo(authority: Pair, names: readonly string[]): Promise<string | undefined> {
  const domains = await domainsOf(authority.cert)
  return names.find((name) => !isWithin(name, domains))
}

const isWithin = (name: string, domains: readonly string[]) =>
  domains.some((domain) => name === domain || name.endsWith(`.${domain}`))

const originOf = (name: string, port: number) => new URL(`https://${name}:${port}`).origin

/** Undefined if neither file is there. Rejects if only one is, or they are no pair. */
async function readPair(files: Files): Promise<Pair | undefined> {
  const absent = (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : Promise.reject(error))
  const [cert, key] = await Promise.all([files.cert, files.key].map((file) => readFile(file, 'utf8').catch(absent)))
  if (cert === undefined && key === undefined) return undefined
  const isPair = cert !== undefined && key !== undefined && new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
  return isPair
    ? { cert, key }
    : giveUp(`${files.cert} and ${files.key} do not belong together. Remove both, then run this again.`)
}

/** The key first: a daemon that follows the certificate serves the old pair until the new one is whole. */
async function writePair(files: Files, pair: Pair): Promise<Pair> {
  await writeWhole(files.key, pair.key, { mode: 0o600 })
  await writeWhole(files.cert, pair.cert, { mode: 0o644 })
  return pair
}

function namesOf(cert: string | undefined): string[] {
  const { subjectAltName = '' } = cert === undefined ? {} : new X509Certificate(cert)
  return [...subjectAltName.matchAll(/DNS:([^,]+)/g)].map(([, name = '']) => name)
}

function fits(server: Pair, authority: Pair, names: readonly string[], addresses: readonly string[]): boolean {
  const cert = new X509Certificate(server.cert)
  const daysLeft = (Date.parse(cert.validTo) - Date.now()) / 86_400_000
  const knowsAll = names.every((name) => cert.checkHost(name)) && addresses.every((address) => cert.checkIP(address))
  return knowsAll && daysLeft > renewalDays && cert.verify(new X509Certificate(authority.cert).publicKey)
}

function giveUp(sentence: string): never {
  throw new Error(sentence)
}
