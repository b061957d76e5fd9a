import { X509Certificate } from 'node:crypto'
import { readFile, stat, statfs } from 'node:fs/promises'
import { BlockList, isIPv6 } from 'node:net'
import { join } from 'node:path'
import type { Finding } from '../../../core/plugin/capabilities.ts'
import type { HostFacts } from '../../../core/plugin/host-control.ts'
import { checkReach, refusedHosts } from './reach.ts'

const leastNode = [20, 19] as const
const leastBytes = 100 * 1024 * 1024
const dayMs = 86_400_000
const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')
const quoted = (path: string) => `'${path.replaceAll("'", `'\\''`)}'`

type Config = NonNullable<HostFacts['config']>

/** Everything about the host that can be wrong on a machine on which it was once right. */
export async function examineHost(facts: HostFacts): Promise<Finding[]> {
  const { config, commandName, running } = facts
  const checks = [
    checkNode(),
    checkConfig(facts),
    checkOwner(facts),
    checkDataDir(facts),
    checkClock(),
    ...(config
      ? [checkListening(config, commandName), checkCertificate(config, facts), checkReach(config, commandName, running)]
      : []),
    refusedHosts(running, commandName),
    ...(running?.safeMode ? [{ kind: 'start', name: 'safe mode', ok: false, optional: false, sentence: running.safeMode }] : []),
  ]
  return (await Promise.all(checks)).flat()
}

/** Of this process, unless a test asks about another. */
export function checkNode({ version, arch }: Pick<NodeJS.Process, 'version' | 'arch'> = process): Finding[] {
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number)
  const isOld = major < leastNode[0] || (major === leastNode[0] && minor < leastNode[1])
  const is32 = ['arm', 'ia32', 'mips', 'mipsel', 'ppc', 's390'].includes(arch)
  const finding = { kind: 'node', name: version, ok: !isOld && !is32, optional: false }
  if (is32) return [{ ...finding, sentence: `This is a 32-bit Node.js (${arch}); Patchbay is made for 64-bit systems.` }]
  const is = `Node.js is ${version} on ${arch}`
  if (isOld) return [{ ...finding, sentence: `${is}; ${leastNode.join('.')} is the lowest that will do.` }]
  return [{ ...finding, sentence: `${is}.` }]
}

function checkConfig({ problems, configDir }: HostFacts): Finding[] {
  const finding = { kind: 'config', optional: false }
  const fine = { ...finding, name: configDir, ok: true, sentence: `The configuration files in ${configDir} are valid.` }
  const wrong = problems.map(({ file, line, message }) => {
    const edit = line > 0 && { mend: `sudo editor +${line} ${quoted(join(configDir, file))}` }
    return { ...finding, name: file, ok: false, sentence: `${file}${line > 0 ? `, line ${line}` : ''}: ${message}.`, ...edit }
  })
  return wrong.length > 0 ? wrong : [fine]
}

function checkOwner({ hasOwner, commandName }: HostFacts): Finding[] {
  const finding = { kind: 'access', name: 'owner', optional: true }
  if (hasOwner) return [{ ...finding, ok: true, sentence: 'Somebody is on the list as owner.' }]
  const sentence = `Nobody is on the list as owner: only a link from "${commandName} login" lets an owner in.`
  return [{ ...finding, ok: false, sentence, mend: `${commandName} access add YOUR_TELEGRAM_NUMBER owner` }]
}

async function checkDataDir({ dataDir, running, commandName }: HostFacts): Promise<Finding[]> {
  const finding = { kind: 'data', name: dataDir, optional: false }
  try {
    const [{ mode, uid }, { bavail, bsize }] = await Promise.all([stat(dataDir), statfs(dataDir)])
    const own = process.getuid?.()
    const problems: Finding[] = []
    // Root may look at anybody's. Without a daemon the owner is right, and it is the wrong user who asks.
    if (own !== 0 && uid !== own) {
      const sentence = `The data directory ${dataDir} belongs to user number ${uid}, not to ${own}, who asks.`
      const mend = running ? `sudo chown -R ${own} ${quoted(dataDir)}` : `sudo -u '#${uid}' ${commandName} doctor`
      problems.push({ ...finding, ok: false, sentence, mend })
    }
    if (mode & 0o077) {
      const sentence = `The data directory ${dataDir} is open to others (mode ${(mode & 0o777).toString(8)}); sessions lie in it.`
      problems.push({ ...finding, ok: false, sentence, mend: `sudo chmod 700 ${quoted(dataDir)}` })
    }
    const free = bavail * bsize
    const space = `${Math.floor(free / 1024 / 1024)} MiB free`
    if (free < leastBytes) {
      const sentence = `The data directory ${dataDir} has ${space}: sessions and settings may not be saved.`
      problems.push({ ...finding, ok: false, sentence, mend: 'sudo apt-get clean && sudo journalctl --vacuum-size=100M' })
    }
    if (problems.length > 0) return problems
    return [{ ...finding, ok: true, sentence: `The data directory is ${dataDir}, ${space}.` }]
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT')
      return [{ ...finding, ok: true, sentence: `The data directory ${dataDir} will be made by the first start.` }]
    return [{ ...finding, ok: false, sentence: `The data directory ${dataDir} cannot be looked at (${code ?? message}).` }]
  }
}

/** A Pi has no battery: until it has asked the network, its clock may stand where it stood last. Logins are judged by it. */
async function checkClock(): Promise<Finding[]> {
  const finding = { kind: 'clock', name: 'clock', optional: false }
  const now = new Date()
  const { mtimeMs } = await stat(new URL(import.meta.url))
  if (now.getTime() > mtimeMs - dayMs)
    return [{ ...finding, ok: true, sentence: `The clock says ${now.toISOString().slice(0, 10)}.` }]
  const sentence = `The clock says ${now.toISOString().slice(0, 10)}, which is before this Patchbay was built: logins fail.`
  return [{ ...finding, ok: false, sentence, mend: 'sudo timedatectl set-ntp true' }]
}

const isLoopback = (address: string) => loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')

function checkListening({ address, port, tls, publicUrl }: Config, commandName: string): Finding[] {
  const finding = { kind: 'listening', name: address, optional: true }
  const sentence = `Patchbay listens on ${address}, port ${port}${tls ? ', with TLS' : ''}.`
  if (tls || publicUrl || address === 'localhost' || isLoopback(address)) return [{ ...finding, ok: true, sentence }]
  const open = `${sentence} Without TLS who shares the network can read what is said, and take a session over.`
  return [{ ...finding, ok: false, sentence: open, mend: `${commandName} https` }]
}

async function checkCertificate({ tls }: Config, { dataDir, commandName }: HostFacts): Promise<Finding[]> {
  if (!tls) return []
  const finding = { kind: 'certificate', name: tls.cert, optional: false }
  try {
    const end = Date.parse(new X509Certificate(await readFile(tls.cert)).validTo)
    const days = Math.floor((end - Date.now()) / dayMs)
    // Whoever made it makes the next one: our own command, certbot, or somebody else.
    const isOurs = tls.cert.startsWith(`${dataDir}/`)
    const look = `openssl x509 -noout -text -in ${quoted(tls.cert)}`
    const mend = isOurs ? `${commandName} https` : tls.cert.startsWith('/etc/letsencrypt/') ? 'sudo certbot renew' : look
    const until = new Date(end).toISOString().slice(0, 10)
    if (days < 0) return [{ ...finding, ok: false, sentence: `The certificate ${tls.cert} ended on ${until}.`, mend }]
    if (days < 14)
      return [{ ...finding, ok: false, optional: true, sentence: `The certificate ${tls.cert} ends on ${until}.`, mend }]
    return [{ ...finding, ok: true, sentence: `The certificate is good until ${until}.` }]
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const sentence = `The certificate ${tls.cert} cannot be read (${code ?? message}).`
    return [{ ...finding, ok: false, sentence, mend: `sudo ls -l ${quoted(tls.cert)}` }]
  }
}
