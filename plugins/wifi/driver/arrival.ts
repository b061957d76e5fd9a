import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'

interface Table {
  readonly file: string
  /** Columns, from 0: the interface, what is all zeros for the default route, and the metric with its base. */
  readonly name: number
  readonly zeros: readonly number[]
  readonly metric: number
  readonly base: number
}

/** The kernel's routing tables: proc_net(5), and net/ipv6/route.c. */
const kernel: readonly Table[] = [
  { file: '/proc/net/route', name: 0, zeros: [1, 7], metric: 6, base: 10 },
  { file: '/proc/net/ipv6_route', name: 9, zeros: [0, 1], metric: 5, base: 16 },
]

/**
 * Over which interface a connection came, by the address of this machine that it was made to. What came over loopback came through a
 * tunnel or a proxy, and counts as arriving over the default route's. Undefined if there is none.
 */
export async function arrivedOver(address: string, tables = kernel): Promise<string | undefined> {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*/, '')
  for (const [name, addresses = []] of Object.entries(networkInterfaces()))
    if (addresses.some(({ address: own, internal }) => own === plain && !internal)) return name
  for (const table of tables) {
    const name = await defaultRoute(table)
    if (name !== undefined) return name
  }
  return undefined
}

/** The interface of the default route with the lowest metric. */
async function defaultRoute({ file, name, zeros, metric, base }: Table): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const rows = text.split('\n').map((line) => line.trim().split(/\s+/))
  const routes = rows.filter((row) => row[name] !== 'lo' && zeros.every((column) => /^0+$/.test(row[column] ?? '')))
  const cost = (row: string[]) => Number.parseInt(row[metric] ?? '', base)
  return routes.sort((a, b) => cost(a) - cost(b))[0]?.[name]
}
