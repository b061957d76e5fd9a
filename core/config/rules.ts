import { isIP } from 'node:net'
import type { ErrorObject, ValidateFunction } from 'ajv'
import accessSchema from '../../config/schemas/access.schema.json' with { type: 'json' }
import hostSchema from '../../config/schemas/host.schema.json' with { type: 'json' }
import pluginsSchema from '../../config/schemas/plugins.schema.json' with { type: 'json' }
import { override, variableFor } from './environment.ts'
import { offsetOf, parseJsonc } from './jsonc.ts'
import { type Environment, type Problem, quote } from './problem.ts'
import type { AccessConfig, ConfigFiles, FileName } from './types.ts'

/** What a file comes to: problems, or else a value with its defaults, frozen. */
export interface Judgement<N extends FileName> {
  readonly value?: ConfigFiles[N]
  readonly problems: readonly Problem[]
}

export type Judge = <N extends FileName>(name: N, text: string) => Judgement<N>

/** How many problems of a file are told; the others show when these are mended. */
const maxTold = 20

const formats = {
  'listen-address': (text: string) => text === 'localhost' || isIP(text) > 0,
  'web-origin': (text: string) => /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text,
  /** `/0` is everybody, and everybody is not a proxy. */
  proxy(text: string) {
    const [, address = '', bits = '1'] = /^([\da-f.:]+)(?:\/([1-9]\d{0,2}))?$/i.exec(text) ?? []
    return ['loopback', 'linklocal', 'uniquelocal'].includes(text) || Number(bits) <= ({ 4: 32, 6: 128 }[isIP(address)] ?? 0)
  },
}

/** Compiles the schemas. ajv is loaded here, not with the module: start-up time is a budget. */
export async function loadJudge(env: Environment): Promise<Judge> {
  const { Ajv } = await import('ajv')
  // A test holds the schemas against their meta-schema; doing it here, or optimizing the code, would double the time.
  const quick = { meta: false, validateSchema: false, code: { optimize: false } }
  const ajv = new Ajv({
    strict: true,
    allErrors: true,
    verbose: true,
    useDefaults: true,
    allowUnionTypes: true,
    formats,
    ...quick,
  })
  const rules: { [N in FileName]: ValidateFunction<ConfigFiles[N]> } = {
    host: ajv.compile(hostSchema),
    access: ajv.compile(accessSchema),
    plugins: ajv.compile(pluginsSchema),
  }
  return (name, text) => {
    const { value, root, faults } = parseJsonc(text)
    const place = ({ offset, message }: { offset: number; message: string }): Problem => {
      const lines = text.slice(0, offset).split('\n')
      return { file: `${name}.json`, line: lines.length, column: (lines.at(-1) ?? '').length + 1, message }
    }
    const problems = faults.slice(0, maxTold).map(place)
    if (!root) return { problems }
    if (name === 'host' && typeof value === 'object' && value) override(value, env)
    const fits = rules[name]
    const content = fits(value) ? value : undefined
    // What `propertyNames` itself says only repeats what is wrong with the name.
    const errors = fits.errors?.filter(({ keyword }) => keyword !== 'propertyNames') ?? []
    const wrongs = content ? [...unknownRoles(content), ...wrongKeys(content)] : errors.map(wrongOf)
    for (const { path, message } of wrongs.slice(0, maxTold)) {
      const variable = name === 'host' && variableFor(path, env)
      problems.push(variable ? { file: variable, line: 0, column: 0, message } : place({ offset: offsetOf(root, path), message }))
    }
    return content && problems.length === 0 ? { value: freeze(content), problems } : { problems }
  }
}

interface Wrong {
  readonly path: readonly string[]
  readonly message: string
}

function unknownRoles(content: object): Wrong[] {
  const { users = {}, roles = {} } = content as Partial<AccessConfig>
  const known = new Set(['owner', 'operator', 'viewer', ...Object.keys(roles)])
  return Object.entries(users).flatMap(([id, said]) =>
    [said]
      .flat()
      .filter((role) => !known.has(role))
      .map((role) => ({ path: ['users', id], message: `there is no role ${quote(role)}; define it in "roles"` })),
  )
}

/** An issuer is trusted with one source of keys, of the kind that its algorithms need: a public key is no secret. */
function wrongKeys(content: object): Wrong[] {
  const { plugins = {} } = content as Partial<ConfigFiles['plugins']>
  return Object.entries(plugins).flatMap(([id, { auth }]) => {
    const { issuer, audience, algorithms, secretFile, keysFile, jwksUrl } = auth ?? {}
    const sources = [secretFile, keysFile, jwksUrl].filter((source) => source !== undefined).length
    const all = [issuer, audience, algorithms].filter((part) => part !== undefined).length
    const path = ['plugins', id, 'auth']
    if (all === 0 && sources === 0) return []
    if (all < 3 || sources !== 1)
      return [{ path, message: 'name issuer, audience, algorithms, and one of secretFile, keysFile and jwksUrl' }]
    const isSecret = (algorithm: string) => algorithm === 'HS256'
    const fits = secretFile === undefined ? !algorithms?.some(isSecret) : algorithms?.every(isSecret)
    return fits ? [] : [{ path, message: 'HS256 goes with secretFile, the other algorithms with keysFile or jwksUrl' }]
  })
}

function wrongOf({ keyword, message, params, parentSchema, instancePath, propertyName }: ErrorObject): Wrong {
  const key: string | undefined = propertyName ?? params.additionalProperty
  const path = instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .concat(key ?? [])
  const subject = path.length > 0 ? quote(path.join('.')) : 'the file'
  if (keyword === 'additionalProperties') {
    return { path, message: `${subject} is not a setting; there are ${Object.keys(parentSchema?.properties).join(', ')}` }
  }
  const verb = keyword === 'pattern' || keyword === 'format' ? 'does not fit' : message
  const values = keyword === 'enum' ? `: ${params.allowedValues.join(', ')}` : ''
  return { path, message: `${subject} ${verb}${values} (${parentSchema?.description})` }
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze)
  return value
}
