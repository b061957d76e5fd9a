import type { Contract } from '../plugin/contract.ts'
import type { Ask } from '../plugin/host-control.ts'

const sentences: Readonly<Record<string, (what: string) => string>> = {
  dbus: (name) => `It calls the service ${name} on the system bus.`,
  exec: (program) => `It starts the program ${program}, which may do all that the plugin's user may.`,
  device: (path) => `It reads and writes the device ${path}.`,
  'file-read': (path) => `It reads ${path} and what is below.`,
  'file-write': (path) => `It reads and writes ${path} and what is below.`,
  network: () => 'It talks to the network, to this machine and to the Internet.',
  addons: () => 'It runs machine code of its own, which Node.js cannot hold back.',
  store: () => 'It keeps data in a file of its own. For that Node.js lets machine code in, and so any that it may bring.',
}

/**
 * What a contract names that lies outside the plugin's own process, sorted: `dbus:<service>`, `exec:<program>`, `device:<path>`,
 * `file-read:<path>`, `file-write:<path>` (reading too), `network`, `addons`, `store`. Other paths in `needs.devices` than those below `/dev` are
 * looked for and not opened to the plugin.
 */
export function asksFor({ needs = {}, capabilities = {} }: Contract): string[] {
  const { dbus = [], exec = [], files: { read = [], write = [] } = {}, ...more } = capabilities
  const lists = {
    dbus,
    exec,
    device: (needs.devices ?? []).filter((path) => path.startsWith('/dev/')),
    'file-read': read.filter((path) => !write.includes(path)),
    'file-write': write,
  }
  const asked = Object.entries(lists).flatMap(([kind, names]) => names.map((name) => `${kind}:${name}`))
  const words = (['network', 'addons', 'store'] as const).filter((word) => more[word])
  return [...new Set([...asked, ...words])].sort()
}

/** What it asks for that is not among the grants. */
export function ungranted(contract: Contract, grants: readonly string[]): string[] {
  return asksFor(contract).filter((grant) => !grants.includes(grant))
}

/** What it means to grant something, for people. The name in it is a stranger's text. */
export function describeGrant(grant: string): Ask {
  const [kind = '', ...rest] = grant.split(':')
  return { grant, sentence: sentences[kind]?.(rest.join(':')) ?? `It asks for ${grant}.` }
}

/** Why a plugin that is switched on stays off, and the command that mends it; undefined if it has all that it asks for. */
export function lacking(id: string, missing: readonly string[], commandName: string): string | undefined {
  if (missing.length === 0) return undefined
  const more = missing.length > 5 ? ` and ${missing.length - 5} more` : ''
  return `It asks for more than it was granted: ${missing.slice(0, 5).join(', ')}${more}. Grant it with: ${commandName} plugins enable ${id}`
}
