import { parseArgs } from 'node:util'
import { ask } from './ask.ts'
import { linksFor } from './link-urls.ts'
import type { Installation } from './main.ts'

/** Asks the running daemon for a one-time link, over a socket that only its user can reach. */
export async function login(args: string[], installation: Installation): Promise<void> {
  const { values } = parseArgs({ args, options: { lan: { type: 'boolean' } } })
  const lan = values.lan === true
  const { code, url } = await ask({ command: 'login', lan }, installation)
  const links = linksFor({ code: String(code), url: String(url) }, lan)
  process.stdout.write(`${links.join('\n')}\n`)
  if (lan && links.length === 1)
    process.stderr.write('No private address of this machine is listened on: set "address" in host.json, "0.0.0.0" for all.\n')
}
