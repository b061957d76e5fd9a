import type { Answer, Control } from './http/control.ts'
import type { Call } from './plugin/context.ts'
import type { HostControl } from './plugin/host-control.ts'
import { makeDataDir, StartError } from './start-error.ts'
import type { Hub } from './wire/hub.ts'
import type { Observers } from './wire/observers.ts'

export interface ControlCommandParts {
  readonly control: () => HostControl
  readonly hub: () => Hub
  readonly issueLink: (lan: boolean) => object
  readonly observers: Observers
}

/** Makes the data directory this daemon's own, by the socket in it. Rejects with a StartError. */
export async function claimDataDir(dataDir: string, socket: Control, parts: ControlCommandParts): Promise<void> {
  await makeDataDir(dataDir)
  await socket.open(dataDir, controlCommands(parts)).catch((error: Error) => {
    throw new StartError(error.message, 75)
  })
}

/** What the command line may ask of the daemon that runs. Whoever reaches its socket is its user, or root. */
function controlCommands({ control, hub, issueLink, observers }: ControlCommandParts): Answer {
  const commands: Readonly<Record<string, (request: Readonly<Record<string, unknown>>) => object | Promise<object>>> = {
    ping: () => ({ pid: process.pid }),
    login: ({ lan }) => issueLink(lan === true),
    plugins: () => ({ plugins: control().load().plugins }),
    async restart({ plugin }) {
      const find = () =>
        control()
          .plugins()
          .find(({ id }) => id === plugin)
      if (!find()) throw new Error(`There is no plugin ${JSON.stringify(plugin)}.`)
      await control().restart(String(plugin))
      return find() ?? {}
    },
    sessions: () => ({ sessions: control().sessions() }),
    revoke: ({ session }) => ({ revoked: control().revoke(String(session)) }),
    /** A token by which a client or a program is known to a plugin. */
    token({ plugin, subject, roles, lifetimeS }) {
      const module = hub().modules.get(String(plugin))
      const tokens = module && hub().mounts.get(module.mount)?.policy.tokens
      if (!tokens) throw new Error(`There is no plugin ${JSON.stringify(plugin)} that takes such tokens.`)
      const names = Array.isArray(roles) ? roles.map(String) : []
      return tokens.issue({ subject: String(subject), roles: names, lifetimeS: Number(lifetimeS) })
    },
    /** An empty answer if the host module, whose doctor it is, does not run. */
    async doctor() {
      const doctor = hub().modules.get('host')?.groups.get('')?.commands.get('host:doctor')
      return { ...((await doctor?.handler?.(undefined, asOwner(doctor.timeoutMs))) as object | undefined) }
    },
    contracts: () => ({ contracts: control().contracts(), core: control().coreContract() }),
  }
  return async (request) => {
    const answer = Object.hasOwn(commands, request.command) ? commands[request.command] : undefined
    if (!answer) throw new Error('The daemon does not know this command.')
    if (request.command !== 'ping') observers.notice({ kind: 'command_line', command: request.command })
    return answer(request)
  }
}

/** A command given on this machine, within `ms` milliseconds. */
function asOwner(ms: number): Call {
  return {
    caller: {
      clientId: '',
      userId: 'local:owner',
      sessionId: '',
      roles: ['owner'],
      claims: {},
      namespace: '/',
      localAddress: '',
    },
    signal: AbortSignal.timeout(ms),
    afterAck: (work) => void work(),
    suspendDeadline: () => () => undefined,
  }
}
