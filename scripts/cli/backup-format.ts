/** The first file of a backup. */
export const manifestName = 'patchbay-backup.json'
export const format = 1
/** What a restore replaced, in the data directory, a directory for each time. */
export const keptName = 'before-restore'
/** Lies beside the data until it takes its place. */
export const stagingPrefix = 'restoring-'
export const auditPath = 'host/audit'
/** Where `plugins add` works and keeps what it replaced. */
export const workshopPath = 'plugins/.patchbay'
export const configNames: readonly string[] = ['host.json', 'access.json', 'plugins.json']
/** Who is logged in: by session, by a token for routes, by what Patchbay's own keys signed. */
export const loginNames: readonly string[] = ['sessions.json', 'route-tokens.json', 'jwt']
export const most = {
  bytes: 1024 ** 3,
  entries: 100_000,
  manifestBytes: 64 * 1024,
  configBytes: 1024 ** 2,
  depth: 32,
}

export interface Manifest {
  readonly format: number
  /** Of Patchbay. */
  readonly version: string
  readonly host: string
  /** ISO 8601, UTC. */
  readonly time: string
}

/** Whether something at the top of the data directory belongs in a backup: no sockets, nothing that is only on its way. */
export function isKept(name: string): boolean {
  return (
    name !== 'control' &&
    name !== keptName &&
    !name.startsWith(stagingPrefix) &&
    !name.startsWith('.') &&
    !/\.json\.\d+$/.test(name)
  )
}
