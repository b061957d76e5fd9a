import type { Containment } from '../plugin/host-control.ts'
import { hasPermissions } from '../process/confinement.ts'

const inService =
  "It runs in a service of its own, as a user of its own: of Patchbay's files, sockets and processes it reaches none."
const inHost = "It runs in the daemon's own process and may do all that the daemon may."
const asDaemon = 'It runs in a process of its own as the user of the daemon.'
const held =
  'Node.js keeps it from files, programs and machine code; nothing keeps it from the network, D-Bus and signals to the daemon.'
const free = 'It was granted programs, a store or machine code of its own, and with these it may do all that the daemon may.'
const old = `Node.js ${process.version} cannot keep it from anything.`

/** How well a third party's plugin is held back, with these grants. `hasUnits`: systemd runs such plugins in services of their own. */
export function containmentOf(runIn: 'host' | 'process', grants: readonly string[], hasUnits: boolean): Containment {
  if (runIn === 'host') return { level: 'not contained', sentence: inHost }
  if (hasUnits) return { level: 'contained', sentence: inService }
  if (!hasPermissions) return { level: 'not contained', sentence: `${asDaemon} ${old}` }
  const isFree = grants.some((grant) => grant === 'addons' || grant === 'store' || grant.startsWith('exec:'))
  return isFree
    ? { level: 'not contained', sentence: `${asDaemon} ${free}` }
    : { level: 'partly', sentence: `${asDaemon} ${held}` }
}
