import type { CoreContract, MountedContract } from '../../../core/plugin/host-control.ts'
import {
  byNamespace,
  type CommandEntry,
  compare,
  type EventEntry,
  type NamespaceContract,
  policyOf,
} from '../../../plugins/contract/driver/groups.ts'
import { expand, type Schema, withSuccess } from '../../../plugins/contract/driver/schema.ts'
import { declaration } from './declaration.ts'

const head = `// What a running Patchbay takes and says, made by \`patchbay types\`. Make it anew when its plugins change.
//
//   import { io, type Socket } from 'socket.io-client'
//   import type { ClientToServerEvents, ServerToClientEvents } from './patchbay.js'
//   const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url, { auth: { sessionToken } })

/** Every command is answered with one of these: what it succeeded with, or why it failed. */
export type Ack<Success = { success: true }> = Success | Failure

export interface Failure {
  success: false
  code: ErrorCode | (string & {})
  /** A sentence for people. */
  error: string
  /** Names this failure, on \`error\` too. */
  id: string
  /** Seconds. */
  retryAfter?: number
}
`

/** The two event maps of the main namespace, and those of others, as the text of a TypeScript module. */
export async function eventMaps(contracts: readonly MountedContract[], core: CoreContract): Promise<string> {
  const names = new Names()
  const main = contracts.find(({ id }) => id === 'host')?.namespace ?? '/'
  const namespaces = byNamespace(contracts, core)
  const maps: string[] = []
  const others: string[] = []
  const declarations: string[] = []
  for (const namespace of namespaces) {
    const isMain = namespace.namespace === main
    const maker = new Maker(names, isMain ? '' : namespace.namespace)
    const { events, commands } = await maker.make(namespace)
    declarations.push(...maker.declarations)
    if (isMain) {
      maps.push(`/** What a client hears. */\nexport interface ServerToClientEvents {\n${events}}\n`)
      maps.push(`/** What a client says. */\nexport interface ClientToServerEvents {\n${commands}}\n`)
    } else {
      const parts = `  serverToClient: {\n${shift(events)}  }\n  clientToServer: {\n${shift(commands)}  }\n`
      others.push(`${JSON.stringify(namespace.namespace)}: {\n${parts}}\n`)
    }
  }
  const about = '/** The other namespaces: `Socket<Namespaces[name]["serverToClient"], Namespaces[name]["clientToServer"]>`. */'
  if (others.length > 0) maps.push(`${about}\nexport interface Namespaces {\n${others.map(shift).join('')}}\n`)
  const all = [core.errors, ...contracts.map(({ contract }) => contract.errors ?? {})].flatMap(Object.keys)
  const codes = [...new Set(all)].sort(compare).map((code) => `  | ${JSON.stringify(code)}\n`)
  return [head, `export type ErrorCode =\n${codes.join('')}`, ...maps, ...declarations].join('\n')
}

/** Names of types, none twice. */
class Names {
  readonly #taken = new Set(['Ack', 'Failure', 'ErrorCode', 'ServerToClientEvents', 'ClientToServerEvents', 'Namespaces'])

  take(...words: readonly string[]): string {
    const parts = words.join(' ').match(/[A-Za-z0-9]+/g) ?? []
    const joined = parts.map((part) => part[0]?.toUpperCase() + part.slice(1)).join('')
    const name = joined.replace(/^\d+/, '').replace(/\d[a-z]/g, (found) => found.toUpperCase())
    for (let number = 1; ; number++) {
      const candidate = number === 1 ? name : `${name}${number}`
      if (this.#taken.has(candidate)) continue
      this.#taken.add(candidate)
      return candidate
    }
  }
}

/** Makes the types and the members of one namespace. */
class Maker {
  readonly declarations: string[] = []
  readonly #names: Names
  readonly #prefix: string

  constructor(names: Names, prefix: string) {
    this.#names = names
    this.#prefix = prefix
  }

  async make({ events, commands }: NamespaceContract): Promise<{ events: string; commands: string }> {
    const members = { events: '', commands: '' }
    for (const entry of events) members.events += await this.#event(entry)
    for (const entry of commands) members.commands += await this.#command(entry)
    return members
  }

  async #event({ name, definition }: EventEntry): Promise<string> {
    const { payload, description, retained, to } = definition
    const value = payload ? `value: ${await this.#declare(`${name} Event`, expand(payload))}` : ''
    const told = [
      description,
      retained && 'Retained: the last value comes at once.',
      to === 'connected' && 'To everybody connected.',
    ]
    return `${comment(told)}  ${JSON.stringify(name)}: (${value}) => void\n`
  }

  async #command(entry: CommandEntry): Promise<string> {
    const { name, definition } = entry
    const { role, rate, timeoutMs } = policyOf(entry)
    const { payload, result, description } = definition
    const taken = payload ? `payload: ${await this.#declare(`${name} Payload`, expand(payload))}, ` : ''
    const success = result ? `<${await this.#declare(`${name} Success`, withSuccess(expand(result)))}>` : ''
    const limits = `At most ${rate.max} in ${rate.windowMs / 1000} s, answered within ${timeoutMs / 1000} s.`
    const told = [description, `${role === undefined ? '' : `Role: ${role}. `}${limits}`]
    return `${comment(told)}  ${JSON.stringify(name)}: (${taken}ack: (answer: Ack${success}) => void) => void\n`
  }

  async #declare(words: string, schema: Schema): Promise<string> {
    const name = this.#names.take(this.#prefix, words)
    this.declarations.push(`${await declaration(name, schema)}\n`)
    return name
  }
}

/** A comment that no text in it can end. */
function comment(sentences: ReadonlyArray<string | false | undefined>): string {
  const told = sentences.filter((sentence) => typeof sentence === 'string')
  const text = told.map((sentence) => (/[.!?]\s*$/.test(sentence) ? sentence : `${sentence}.`)).join(' ')
  return text && `  /** ${text.replace(/\s+/g, ' ').replaceAll('*/', '*\\/')} */\n`
}

function shift(lines: string): string {
  return lines.replace(/^(?=.)/gm, '  ')
}
