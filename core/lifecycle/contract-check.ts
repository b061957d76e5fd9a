import { coreCodes } from '../wire/errors.ts'
import { asObject, below, type Check, isObject, list, must, object, oneOf, record, succeeds, text, whole } from './checks.ts'
import { Problem } from './problem.ts'
import { schemaCheck } from './schema-check.ts'

export const idPattern = /^[a-z][a-z0-9-]{0,31}$/
const reservedIds = /^(module|auth|error|core|patchbay)$/
/** Socket.IO's own and the core's. */
const reservedNames = /^(error|connect|connect_error|disconnect|disconnecting|newListener|removeListener|(module|auth):.*)$/

const sentence = text(/^.{0,499}\S$/s, 'a sentence of at most 500 characters')
const role = oneOf('viewer', 'operator', 'owner')
const flag = oneOf(true, false)
const program = text(/^\w[\w.+-]{0,63}$/, 'the name of a program, without a path')
const busName = text(
  /^(?=.{3,255}$)[A-Za-z_-][\w-]*(\.[A-Za-z_-][\w-]*)+$/,
  'a well-known D-Bus name, such as org.freedesktop.login1',
)
const device = text(
  /^(?=.{2,255}$)(?!.*\/\.\.?(\/|$))(\/[^/*\0]+)*\/[^/\0]+$/,
  'an absolute path, with a * in its last segment only',
)
const debianPackage = text(/^[a-z0-9][a-z0-9.+-]{0,99}$/, 'the name of a Debian package')
const namespaceName = text(/^(?=.{1,64}$)[a-z0-9][a-z0-9-]*(\/[a-z0-9-]+)*$/, 'a relative namespace, such as media')

const routeName = text(
  /^GET \/(?!.*\/$)[\w.-]*(\/[\w.-]+)*$/,
  'GET and a path of letters, digits, -, _ and ., such as "GET /html"',
)
const route = object({ description: sentence, role, token: flag })

const systemdUnit = text(/^(?!-)[\w:.@-]{1,100}\.service$/, 'the name of a systemd service, such as bluetooth.service')
const version = text(/^\d{1,6}(\.\d{1,6}){0,3}$/, 'a version, such as 2.3')
const polkitAction = text(/^[A-Za-z0-9][A-Za-z0-9.-]{1,254}$/, 'a polkit action, such as org.freedesktop.login1.reboot')
const groupName = text(/^[a-z_][a-z0-9_-]{0,31}$/, 'the name of a group')

const services = record(64, busName, object({ package: debianPackage, unit: systemdUnit, optional: flag }))
const needs = object({
  dbus: (value, at) => (isObject(value) ? services : list(64, busName))(value, at),
  tools: record(64, program, object({ package: debianPackage, optional: flag, version }, 'package')),
  devices: list(64, device),
  session: oneOf(true),
  polkit: record(64, polkitAction, sentence),
  groups: record(16, groupName, sentence),
})

const errorCode: Check = (value, at) => {
  text(/^[A-Z][A-Z0-9_]{1,63}$/, 'a code of capital letters, digits and _, at most 64')(value, at)
  must(!coreCodes.has(String(value)), at, "be another code, this is one of the core's")
}

/** A plugin starts without an entry in `plugins.json`. */
const hasDefault: Check = (property, at) => must(Object.hasOwn(asObject(property, at), 'default'), at, 'have a default')

/**
 * Checks a contract. Returns the first problem, with its place and what to mend, or undefined. Left to ajv is whether the
 * keywords of a schema have values that make sense.
 */
export function checkContract(contract: unknown, { builtin }: { builtin: boolean }): string | undefined {
  try {
    // No cycle, no BigInt and no nesting without end.
    must(
      succeeds(() => JSON.stringify(contract)),
      '',
      'be JSON',
    )
    const { id, policy = 'patchbay' } = asObject(contract, '')
    text(idPattern, 'lower-case letters, digits and dashes, at most 32, a letter first')(id, 'id')
    must(!reservedIds.test(String(id)) && (builtin || id !== 'host'), 'id', `be another, "${id}" is reserved`)
    contractCheck(policy === 'patchbay' ? `${id}:` : '', builtin)(contract, '')
    return undefined
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return error.message
  }
}

/** `prefix` begins every name of a plugin that shares its namespace with others. */
function contractCheck(prefix: string, builtin: boolean): Check {
  const schema = schemaCheck()
  const named = { description: sentence, payload: schema }
  const rate = object({ max: whole(1, 100_000), windowMs: whole(100, 3_600_000) }, 'max', 'windowMs')
  const command = object({ ...named, result: schema, role, timeoutMs: whole(100, 600_000), rate, inFlight: whole(1, 1024) })
  const event = object({ ...named, retained: flag, to: oneOf('subscribers', 'connected', 'addressed') })
  const name: Check = (value, at) => {
    text(/^[A-Za-z][\w:-]{0,63}$/, 'a name of letters, digits, _, : and -, at most 64, a letter first')(value, at)
    must(!reservedNames.test(String(value)), at, 'have another name, this one is reserved')
    must(String(value).startsWith(prefix), at, `have a name that begins with ${prefix} as other plugins share its namespace`)
  }
  const group = {
    commands: record(256, name, command),
    events: record(256, name, (value, at) => {
      event(value, at)
      const { retained, to } = asObject(value, at)
      must(!retained || to !== 'addressed', at, 'be either retained or addressed')
    }),
  }
  const requests = { dbus: list(64, busName), exec: list(64, program), ...(builtin && { host: oneOf(true) }) }
  return object({
    ...group,
    id: () => {}, // checked before
    description: sentence,
    optIn: oneOf(true),
    policy: text(idPattern, 'the name of an auth policy'),
    subscribeRole: role,
    needs,
    capabilities: object(requests),
    settings: (value, at) => {
      schema(value, at)
      const { type, properties = {} } = asObject(value, at)
      must(type === 'object', at, 'have the type "object"')
      record(256, () => {}, hasDefault)(properties, below(at, 'properties'))
    },
    routes: record(64, routeName, route),
    namespaces: record(16, namespaceName, object(group)),
    errors: record(256, errorCode, sentence),
  })
}
