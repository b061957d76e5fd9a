import { readdir } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'
import { asksFor, describeGrant } from '../../../core/lifecycle/grants.ts'
import type { Found } from '../../../core/lifecycle/read-package.ts'
import { printable } from '../../../core/log.ts'
import type { CommandDefinition, Contract } from '../../../core/plugin/contract.ts'
import type { Installation } from '../main.ts'
import { usage } from '../plugins.ts'
import { table } from '../table.ts'
import { readDisk } from '../without-daemon.ts'
import { openConfig } from './install.ts'

/** Switches a plugin on, after its owner has seen what it asks for and agreed. */
export async function enable(args: string[], installation: Installation): Promise<void> {
  const options = { yes: { type: 'boolean' }, grant: { type: 'string', multiple: true } } as const
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options })
  const [id] = positionals
  if (id === undefined || positionals.length > 1) throw usage('enable <id> [--yes | --grant <what>...]', installation)
  const found = await find(id, installation)
  const { contract, problem } = found
  if (!contract || problem !== undefined) throw new Error(`${printable(id)} cannot run: ${printable(problem ?? '')}.`)
  const asks = found.builtin ? [] : asksFor(contract)
  if (values.grant) {
    const missing = asks.filter((ask) => !values.grant?.includes(ask))
    if (missing.length > 0) throw new Error(`It also asks for ${printable(missing.join(', '))}. It stays off.`)
  } else if (!found.builtin) {
    process.stdout.write(await consentText(found, contract, asks))
    if (!values.yes && !(await agrees(installation, id))) {
      process.exitCode = 1
      return void process.stdout.write('It stays as it was.\n')
    }
  }
  const config = await openConfig(installation)
  // What was shown, and no more: one that has come to ask for more meanwhile stays off.
  if (asks.length > 0) await config.update('plugins', ['plugins', id, 'grants'], asks)
  await config.update('plugins', ['plugins', id, 'enabled'], true)
  process.stdout.write(`${id} is switched on. How it fares: ${installation.commandName} plugins\n`)
}

/** Switches a plugin off; what it was granted stays granted. */
export async function disable(args: string[], installation: Installation): Promise<void> {
  const { positionals } = parseArgs({ args, allowPositionals: true })
  const [id] = positionals
  if (id === undefined || positionals.length > 1) throw usage('disable <id>', installation)
  const { builtin } = await find(id, installation)
  if (builtin && id === 'host') throw new Error('The host module stays on: it is how everything else is switched on.')
  const config = await openConfig(installation)
  await config.update('plugins', ['plugins', id, 'enabled'], false)
  process.stdout.write(`${id} is switched off.\n`)
}

async function find(id: string, installation: Installation): Promise<Found> {
  const named = (await readDisk(installation)).found.filter((each) => each.id === id)
  const found = named.find(({ problem }) => problem === undefined) ?? named[0]
  if (!found) throw new Error(`There is no plugin ${printable(id)}. To see which there are: ${installation.commandName} plugins`)
  return found
}

/** What an owner agrees to. Everything in it may be a stranger's text. */
async function consentText(found: Found, contract: Contract, asks: readonly string[]): Promise<string> {
  const { id, version, dir } = found
  const { description = '', namespaces = {} } = contract
  const commands = [contract, ...Object.values(namespaces)].flatMap((group) =>
    Object.entries<CommandDefinition>(group.commands ?? {}),
  )
  const asked = asks.map((ask) => [`  ${ask}`, describeGrant(ask).sentence])
  const compiled = await machineCode(dir)
  const parts = [
    `${printable(id)} ${printable(version)}${description && `: ${printable(description)}`}\n`,
    asks.length > 0 ? `\nIt asks for\n${table(asked)}` : '\nIt asks for nothing beyond what every plugin has.\n',
    commands.length > 0
      ? `\nClients may tell it\n${table(commands.map(([name, { role = 'owner' }]) => [`  ${name}`, who[role]]))}`
      : '',
    compiled.length > 0
      ? `\nIt brings machine code, which Node.js cannot hold back once it may run, in ${compiled.map(printable).join(', ')}.\n`
      : '',
    '\n',
  ]
  return parts.join('')
}

const who = { owner: 'the owner', operator: 'operators and the owner', viewer: 'everybody who may enter' } as const

/** Where machine code lies in a package: names of packages that it depends on, or files of its own. */
async function machineCode(dir: string): Promise<string[]> {
  const files = (await readdir(dir, { recursive: true })).filter((name) => /\.(node|so(\.\d+)*)$/.test(name))
  return [...new Set(files.map((file) => /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? file))].slice(0, 20)
}

async function agrees({ commandName }: Installation, id: string): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new Error(`Nobody can be asked here. If you agree: ${commandName} plugins enable ${printable(id)} --yes`)
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return /^y(es)?$/i.test((await terminal.question('Switch it on? [y/N] ')).trim())
  } finally {
    terminal.close()
  }
}
