import { hostname, tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { main, type Service } from '../../core/main.ts'
import { linksFor } from './link-urls.ts'
import type { Installation } from './main.ts'
import { sweepRooms } from './sweep-rooms.ts'
import { systemdService } from './systemd.ts'

type Host = Parameters<Service['ready']>[0]

/** Runs the daemon in this process. `--print-link` writes the one-time link to standard output even if that is no terminal. */
export async function start(args: string[], { root, commandName }: Installation): Promise<void> {
  const { values } = parseArgs({ args, options: { 'print-link': { type: 'boolean' } } })
  await sweepRooms(tmpdir()).catch(() => undefined) // another time
  const systemd = systemdService()
  const service: Service = {
    ready(host) {
      systemd?.ready(host)
      if (host.needsLink) sayLink(host, values['print-link'] === true, commandName)
    },
    stopping: () => systemd?.stopping(),
  }
  await main({ root, commandName, service })
}

/** Straight to the terminal, never through the logger: whoever has the link is the owner. */
function sayLink(host: Host, always: boolean, commandName: string): void {
  if (!always && !process.stdout.isTTY) {
    process.stderr.write(`No owner is configured. For a link to log in run: ${commandName} login\n`)
    return
  }
  const [url = ''] = linksFor(host.issueLink(false), false)
  const { port } = new URL(url)
  process.stdout.write(
    `\n  Open this link within 10 minutes to log in as the owner of this machine:\n\n    ${url}\n\n` +
      `  From another computer first run there: ssh -L ${port}:127.0.0.1:${port} ${process.env.USER ?? 'USER'}@${hostname()}\n` +
      `  A new link, later: ${commandName} login\n\n`,
  )
}
