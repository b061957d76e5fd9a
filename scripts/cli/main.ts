import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { access } from './access.ts'
import { contract } from './contract.ts'
import { login } from './login.ts'

const usage = `Usage: patchbay <command>

  start [--print-link]             run the daemon in the foreground
  login [--lan]                    print a new one-time link (the daemon runs); --lan opens it to private addresses
  access list                      who may enter, and as what
  access add <telegram id> [role]  let somebody in: owner, operator (default), viewer, or a role of access.json
  access remove <telegram id>      take somebody off the list
  contract <module.js>             print the contract that a module exports, as contract.json wants it
`

/** What a command is told about the installation it belongs to. */
export interface Installation {
  readonly root: string
  readonly commandName: string
}

const commands: Readonly<Record<string, (args: string[], installation: Installation) => Promise<void>>> = {
  async start(args, installation) {
    const { values } = parseArgs({ args, options: { 'print-link': { type: 'boolean' } } })
    const { main } = await import('../../core/main.ts')
    await main({ ...installation, printLink: values['print-link'] === true })
  },
  login,
  access,
  contract,
}

const [name = 'help', ...rest] = process.argv.slice(2)
const root = dirname(fileURLToPath(import.meta.resolve('patchbay/package.json')))
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (command) {
  try {
    await command(rest, { root, commandName: 'npx patchbay' })
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
} else {
  process.stdout.write(usage)
  process.exitCode = ['help', '--help', '-h'].includes(name) ? 0 : 64
}
