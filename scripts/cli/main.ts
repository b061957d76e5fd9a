import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ignoreInspectorSignal } from '../../core/inspector.ts'

/** What a command is told about the installation it belongs to. */
export interface Installation {
  readonly root: string
  readonly commandName: string
}

type Command = (args: string[], installation: Installation) => Promise<void>

/** Each is loaded when it is called. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./start.ts')).start,
  login: async () => (await import('./login.ts')).login,
  doctor: async () => (await import('./doctor.ts')).doctor,
  plugins: async () => (await import('./plugins.ts')).plugins,
  sessions: async () => (await import('./sessions.ts')).sessions,
  access: async () => (await import('./access.ts')).access,
  config: async () => (await import('./config.ts')).config,
  token: async () => (await import('./token.ts')).token,
  telegram: async () => (await import('./telegram.ts')).telegram,
  types: async () => (await import('./types.ts')).types,
  contract: async () => (await import('./contract.ts')).contract,
  https: async () => (await import('./https.ts')).https,
  backup: async () => (await import('./backup.ts')).backup,
  restore: async () => (await import('./restore.ts')).restore,
}

const usage = `Usage: patchbay <command>

  start [--print-link]             run the daemon in the foreground
  login [--lan]                    print a new one-time link (the daemon runs); --lan opens it to private addresses
  doctor [--json]                  what every plugin needs, what is there, and the commands that mend what is not
  plugins [list] [--json]          every plugin with its state
  plugins add <name|file|folder>   put a plugin there, switched off: of npm's registry, a .tgz, or a folder such as ./lamp
  plugins enable|disable <id>      see what it asks for, and switch it on; switch it off
  plugins update [<id>...]         newer versions of what came from npm; plugins rollback <id> puts the one before back
  plugins remove <id> [--data]     take it away; with --data also what it kept
  plugins restart <id>             stop and start a plugin, out of quarantine and in safe mode too
  sessions [--json | revoke <id>]  who is logged in; end a session
  access list                      who may enter, and as what
  access add <telegram id> [role]  let somebody in: owner, operator (default), viewer, or a role of access.json
  access remove <telegram id>      take somebody off the list
  config get|set|unset <key>       a setting of host.json or plugins.json, such as publicUrl or plugins.wifi.enabled
  token <plugin> [--remove]        make a token for a plugin's HTTP routes, such as metrics, for a program that cannot log in
  token <plugin> --subject NAME [--role ROLE]... [--lifetime 30d]  a JSON Web Token, for a plugin that goes by such
  telegram setup [--url <https://...>] [--token-file <file>]  link a bot: its button opens the app
  types [--output <file>]          TypeScript types of every command and event, for socket.io-client
  contract <module.js>             print the contract that a module exports, as contract.json wants it
  https [--name <name>] [--renew]  make a certificate for this machine's name on the local network
  backup <file|-> [--with-audit]   save configuration, sessions and dropped-in plugins to a file
  restore <file|-> [--without-sessions]  put them back, while the daemon is stopped
`

// As early as can be: the daemon's own code takes a while to load.
ignoreInspectorSignal()
const [name = 'help', ...rest] = process.argv.slice(2)
const root = dirname(fileURLToPath(import.meta.resolve('patchbay/package.json')))
const load = Object.hasOwn(commands, name) ? commands[name] : undefined
if (load) {
  try {
    const command = await load()
    await command(rest, { root, commandName: process.env.PATCHBAY_COMMAND || 'npx patchbay' })
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode ||= 1
  }
} else {
  process.stdout.write(usage)
  process.exitCode = ['help', '--help', '-h'].includes(name) ? 0 : 64
}
