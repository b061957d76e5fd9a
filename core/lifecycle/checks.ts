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

export function text(pattern: RegExp, be: string): Check {
  return (value, at) => must(typeof value === 'string' && pattern.test(value), at, `be ${be}`)
}

export function succeeds(work: () => unknown): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}
