import type { ErrorObject, ValidateFunction } from 'ajv'
import contractSchema from '../../config/schemas/contract.schema.json' with { type: 'json' }
import type { CommandDefinition, Contract, ContractGroup, EventDefinition, RouteDefinition } from '../plugin/contract.ts'
import { coreCodes } from '../wire/errors.ts'
import { type Check, must, succeeds } from './checks.ts'
import { clip, Problem } from './problem.ts'
import { schemaCheck } from './schema-check.ts'

export const idPattern = new RegExp(contractSchema.properties.id.pattern)
const reservedIds = /^(module|auth|error|core|patchbay)$/
/** Socket.IO's own and the core's. */
const reservedNames = /^(error|connect|connect_error|disconnect|disconnecting|newListener|removeListener|(module|auth):.*)$/

let fits: ValidateFunction<Contract> | undefined

/** Compiles the schema of contracts, once. What comes with Patchbay needs it in tests only. */
export async function loadContractCheck(): Promise<void> {
  const { Ajv } = await import('ajv')
  const quick = { meta: false, validateSchema: false, code: { optimize: false } }
  fits ??= new Ajv({ strict: true, strictTypes: false, verbose: true, ...quick }).compile<Contract>(contractSchema)
}

/**
 * Checks a contract. Returns the first problem, with its place and what to mend, or undefined. Left to the plugin's start is whether
 * the keywords of a schema have values that make sense.
 */
export function checkContract(contract: unknown, { builtin }: { builtin: boolean }): string | undefined {
  if (!fits) throw new Error('loadContractCheck() comes first')
  try {
    // No cycle, no BigInt and no nesting without end.
    must(
      succeeds(() => JSON.stringify(contract)),
      '',
      'be JSON',
    )
    if (!fits(contract)) throw new Problem(sentenceOf(fits.errors?.[0] as ErrorObject))
    const { id, policy = 'patchbay', capabilities = {}, errors = {}, settings, namespaces = {} } = contract
    must(!reservedIds.test(id) && (builtin || id !== 'host'), 'id', `be another, "${id}" is reserved`)
    must(builtin || !capabilities.host, 'capabilities/host', 'be left out; it is for what comes with Patchbay')
    for (const code of Object.keys(errors))
      must(!coreCodes.has(code), `errors/${code}`, "be another code, this is one of the core's")
    const schema = schemaCheck()
    if (settings) schema(settings, 'settings')
    if (contract.handshake) schema(contract.handshake, 'handshake')
    for (const [name, { params, query, body, result }] of Object.entries(contract.routes ?? {})) {
      for (const [kind, given] of Object.entries({ params, query, body, result }))
        if (given) schema(given, `routes/${name}/${kind}`)
      must(
        name.includes(':') === (params !== undefined),
        `routes/${name}`,
        'have "params" if there are such in its path, and only then',
      )
    }
    // Begins every name of a plugin that shares its namespace with others.
    const prefix = policy === 'patchbay' ? `${id}:` : ''
    checkGroup(contract, '', prefix, schema)
    for (const [name, group] of Object.entries(namespaces)) checkGroup(group, `namespaces/${name}/`, prefix, schema)
    checkPolicy(contract, policy !== 'patchbay')
    return undefined
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return error.message
  }
}

function checkGroup({ commands = {}, events = {} }: ContractGroup, at: string, prefix: string, schema: Check): void {
  for (const [kind, definitions] of Object.entries({ commands, events }))
    for (const [name, definition] of Object.entries(definitions)) {
      const place = `${at}${kind}/${name}`
      must(!reservedNames.test(name), place, 'have another name, this one is reserved')
      must(name.startsWith(prefix), place, `have a name that begins with ${prefix} as other plugins share its namespace`)
      const { payload, result, retained, to } = definition as CommandDefinition & EventDefinition
      if (payload) schema(payload, `${place}/payload`)
      if (result) schema(result, `${place}/result`)
      must(!retained || to !== 'addressed', place, 'be either retained or addressed')
    }
}

/** What stands in it must mean something to whoever guards its namespaces. */
function checkPolicy(contract: Contract, isGated: boolean): void {
  const { commands, routes = {}, namespaces = {}, refusals = {}, subscribeRole } = contract
  const groups = [contract, ...Object.values(namespaces)]
  const all: Array<[string, CommandDefinition & RouteDefinition]> = [
    ...Object.entries({ ...commands }).map(([name, one]): [string, CommandDefinition] => [`commands/${name}`, one]),
    ...Object.entries(namespaces).flatMap(([group, { commands: below = {} }]) =>
      Object.entries(below).map(([name, one]): [string, CommandDefinition] => [`namespaces/${group}/commands/${name}`, one]),
    ),
    ...Object.entries(routes).map(([name, one]): [string, RouteDefinition] => [`routes/${name}`, one]),
  ]
  const mine = isGated ? 'where the policy is not patchbay' : 'where the policy is patchbay'
  for (const [at, { role, roles, anonymous, token }] of all)
    if (isGated) {
      must(!role && !token, at, `neither have "role" nor "token" ${mine}`)
      must(Boolean(roles) !== Boolean(anonymous), at, `have either "roles" or "anonymous" ${mine}`)
    } else must(!roles && !anonymous, at, `neither have "roles" nor "anonymous" ${mine}`)
  if (isGated) must(!subscribeRole, 'subscribeRole', `be left out ${mine}`)
  else {
    const { handshake, connectionsPerMinute, capabilities: { clients } = {} } = contract
    const gated = { handshake, connectionsPerMinute, clients, refusals: contract.refusals }
    for (const [key, value] of Object.entries(gated)) must(value === undefined, key, `be left out ${mine}`)
    for (const { anonymous } of groups) must(!anonymous, 'anonymous', `be left out ${mine}`)
  }
  for (const [code, event] of Object.entries(refusals)) {
    must(coreCodes.has(code), `refusals/${code}`, "be one of the core's codes")
    const isThere = groups.some(({ events = {} }) => Object.hasOwn(events, event) && events[event]?.to === 'addressed')
    must(isThere, `refusals/${code}`, 'name an addressed event of this contract')
  }
}

/** What does not fit the schema, as a sentence. Its descriptions say what a value must be. */
function sentenceOf({ keyword, instancePath, propertyName, params, parentSchema }: ErrorObject): string {
  const keys = instancePath.split('/').slice(1)
  const key: string | undefined = propertyName ?? params.additionalProperty
  const at = [...keys.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')), ...(key === undefined ? [] : [key])]
  const words: Readonly<Record<string, () => string>> = {
    type: () => (params.type === 'object' ? 'be an object' : `be ${parentSchema?.description}`),
    additionalProperties: () => `be left out; known here are ${Object.keys(parentSchema?.properties).join(', ')}`,
    required: () => `have "${params.missingProperty}"`,
    maxProperties: () => `have at most ${params.limit} entries`,
    enum: () => `be ${params.allowedValues.map((value: unknown) => JSON.stringify(value)).join(' or ')}`,
  }
  return `${at.map(clip).join('/') || 'the contract'} must ${words[keyword]?.() ?? `be ${parentSchema?.description}`}`
}
