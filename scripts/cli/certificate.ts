import { createPrivateKey, KeyObject, webcrypto } from 'node:crypto'
import 'reflect-metadata'

/** A certificate and its private key, both PEM. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const nameConstraints = '2.5.29.30'
const dayMs = 86_400_000
const authorityDays = 3650
/** Under the 398 days that browsers take from anybody. */
const serverDays = 365

/** What no name or address of the internet lies in: RFC 6762, RFC 6761, RFC 8375, ICANN's `internal`, and the private address ranges. */
export const privateDomains: readonly string[] = ['local', 'localhost', 'home.arpa', 'internal']
const privateRanges = [
  ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '127.0.0.0/8'],
  ...['fc00::/7', 'fe80::/10', '::1/128'],
]

/**
 * Makes an authority that can vouch for nothing but the names in and below `domains` and private addresses: its name
 * constraints are critical, so who does not understand them refuses it.
 */
export async function createAuthority(name: string, domains: readonly string[]): Promise<Pair> {
  const x509 = await import('@peculiar/x509')
  const { GeneralName, GeneralSubtree, GeneralSubtrees, NameConstraints } = await import('@peculiar/asn1-x509')
  const { AsnConvert } = await import('@peculiar/asn1-schema')
  const bases = [...domains.map((dNSName) => ({ dNSName })), ...privateRanges.map((iPAddress) => ({ iPAddress }))]
  const permitted = bases.map((base) => new GeneralSubtree({ base: new GeneralName(base) }))
  const constraints = AsnConvert.serialize(new NameConstraints({ permittedSubtrees: new GeneralSubtrees(permitted) }))
  const keys = await webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify'])
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [name] }],
    keys,
    ...validFor(authorityDays),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.Extension(nameConstraints, true, constraints),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: cert.toString('pem'), key: exportKey(keys.privateKey) }
}

/** The DNS names in and below which an authority (PEM) may vouch. */
export async function domainsOf(authority: string): Promise<string[]> {
  const x509 = await import('@peculiar/x509')
  const { NameConstraints } = await import('@peculiar/asn1-x509')
  const { AsnConvert } = await import('@peculiar/asn1-schema')
  const extension = new x509.X509Certificate(authority).getExtension(nameConstraints)
  const { permittedSubtrees } = extension ? AsnConvert.parse(extension.value, NameConstraints) : {}
  return [...(permittedSubtrees ?? [])].flatMap(({ base }) => base.dNSName ?? [])
}

/** Makes a server's certificate for these names and addresses, with a key of its own. It ends with its authority at the latest. */
export async function createServerCertificate(
  authority: Pair,
  { names, addresses }: { readonly names: readonly string[]; readonly addresses: readonly string[] },
): Promise<Pair> {
  const x509 = await import('@peculiar/x509')
  const issuer = new x509.X509Certificate(authority.cert)
  const keys = await webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify'])
  const { notBefore, notAfter } = validFor(serverDays)
  const cert = await x509.X509CertificateGenerator.create({
    subject: [{ CN: [names[0] as string] }],
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    signingAlgorithm: ecdsa,
    notBefore,
    notAfter: new Date(Math.min(notAfter.getTime(), issuer.notAfter.getTime())),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: 'dns', value }) as const),
        ...addresses.map((value) => ({ type: 'ip', value }) as const),
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return { cert: cert.toString('pem'), key: exportKey(keys.privateKey) }
}

/** From a day ago: the clocks of a small machine and of its visitors differ. */
function validFor(days: number): { notBefore: Date; notAfter: Date } {
  const from = Date.now() - dayMs
  return { notBefore: new Date(from), notAfter: new Date(from + days * dayMs) }
}

function exportKey(key: webcrypto.CryptoKey): string {
  return String(KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }))
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' })
  return webcrypto.subtle.importKey('pkcs8', der, ecdsa, false, ['sign'])
}
