import type { Ajv as AjvInstance, ErrorObject, ValidateFunction } from 'ajv'
import type { JsonSchema } from '../plugin/contract.ts'
import { refuse } from './errors.ts'
import type { Command } from './module.ts'

/** Undefined if the value fits, else a sentence that says where it does not. */
export type Check = (value: unknown) => string | undefined

/** Step 5: the payload fits the command's schema. A stranger's schema is not for this process. */
export function validate({ name, check, module }: Command, payload: unknown): void {
  if (module?.isRemote) return
  const problem = check(payload)
  if (problem) throw refuse('INVALID_PAYLOAD', `${name}: ${problem}.`)
}

/** The same with the value as the schema has it: numbers and booleans made of texts, defaults filled in. */
export type Filling = (value: object) => { readonly value: object; readonly problem?: string | undefined }

let ajv: AjvInstance | undefined
let coercing: AjvInstance | undefined
let filling: AjvInstance | undefined

/** Loads the schema compiler. It costs some 40 ms, so it waits for the first plugin to start. */
export async function loadValidator(): Promise<void> {
  const { Ajv } = await import('ajv')
  const options = { strict: true, strictTypes: false, strictTuples: false, allowUnionTypes: true, validateFormats: false }
  ajv ??= new Ajv(options)
  filling ??= new Ajv({ ...options, useDefaults: true })
  coercing ??= new Ajv({ ...options, useDefaults: true, coerceTypes: true })
}

/** A check that compiles its schema when it is first used. Without a schema only "nothing" fits: none, null or an empty object. */
export function schemaCheck(schema: JsonSchema | undefined): Check {
  if (!schema) return (value) => (isNothing(value) ? undefined : 'it takes no payload')
  let validate: ValidateFunction | undefined
  return (value) => {
    validate ??= compile(schema)
    // What a client leaves out is null to a schema.
    return validate(value ?? null) ? undefined : sentence(validate.errors?.[0])
  }
}

/** For what comes as texts, in a path or behind a `?`. */
export function fillingCheck(schema: JsonSchema): Filling {
  let validate: ValidateFunction | undefined
  return (given) => {
    validate ??= (coercing as AjvInstance).compile(schema)
    const value = { ...given }
    return { value, problem: validate(value) ? undefined : sentence(validate.errors?.[0]) }
  }
}

/** A plugin's settings with the defaults of their schema filled in. */
export function settingsCheck(schema: JsonSchema | undefined, given: object): { settings: object; problem?: string } {
  const settings = structuredClone(given)
  if (!schema || !filling) return Object.keys(given).length === 0 ? { settings } : { settings, problem: 'it takes none' }
  const validate = filling.compile(schema)
  return validate(settings) ? { settings } : { settings, problem: sentence(validate.errors?.[0]) }
}

function compile(schema: JsonSchema): ValidateFunction {
  if (!ajv) throw new Error('loadValidator() comes first')
  return ajv.compile(schema)
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)
}

function sentence(error: ErrorObject | undefined): string {
  if (!error) return 'it does not fit'
  const where = error.instancePath.slice(1).replaceAll('/', '.') || 'the payload'
  const allowed = 'allowedValues' in error.params ? `: ${JSON.stringify(error.params.allowedValues)}` : ''
  const extra = 'additionalProperty' in error.params ? `: ${JSON.stringify(error.params.additionalProperty).slice(0, 80)}` : ''
  return `${where} ${error.message ?? 'does not fit'}${allowed}${extra}`
}
