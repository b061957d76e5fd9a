import { clip, Problem } from './problem.ts'

/** Throws a Problem that names the place `at` unless the value is right. */
export type Check = (value: unknown, at: string) => void
export type Json = Readonly<Record<string, unknown>>

export const below = (at: string, key: string | number): string => (at === '' ? '' : `${at}/`) + clip(String(key))

export function must(holds: boolean, at: string, be: string): asserts holds {
  if (!holds) throw new Problem(`${at === '' ? 'the contract' : at} must ${be}`)
}

export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

export function asObject(value: unknown, at: string): Json {
  must(isObject(value), at, 'be an object')
  return value
}

/** An object with these keys and no others; those named after it must be there. */
export function object(fields: Readonly<Record<string, Check>>, ...required: string[]): Check {
  return (value, at) => {
    const given = asObject(value, at)
    for (const key of required) must(Object.hasOwn(given, key), at, `have "${key}"`)
    for (const [key, item] of Object.entries(given)) {
      const check = Object.hasOwn(fields, key) ? fields[key] : undefined
      must(check !== undefined, below(at, key), `be left out; known here are ${Object.keys(fields).join(', ')}`)
      check(item, below(at, key))
    }
  }
}

/** An object with at most `max` keys, which all pass `name`. */
export function record(max: number, name: Check, item: Check): Check {
  return (value, at) => {
    const entries = Object.entries(asObject(value, at))
    must(entries.length <= max, at, `have at most ${max} entries`)
    for (const [key, inner] of entries) {
      name(key, below(at, key))
      item(inner, below(at, key))
    }
  }
}

export function list(max: number, item: Check): Check {
  return (value, at) => {
    must(Array.isArray(value) && value.length <= max, at, `be a list of at most ${max}`)
    for (const [index, inner] of value.entries()) item(inner, below(at, index))
  }
}

export function text(pattern: RegExp, be: string): Check {
  return (value, at) => must(typeof value === 'string' && pattern.test(value), at, `be ${be}`)
}

export function whole(min: number, max: number): Check {
  return (value, at) =>
    must(Number.isInteger(value) && Number(value) >= min && Number(value) <= max, at, `be ${min} to ${max}, whole`)
}

export function oneOf(...values: ReadonlyArray<string | boolean>): Check {
  return (value, at) =>
    must(
      values.some((one) => one === value),
      at,
      `be ${values.map((one) => JSON.stringify(one)).join(' or ')}`,
    )
}

export function succeeds(work: () => unknown): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}
