import type { ConfigProblem } from '../plugin/host-control.ts'

/** Environment variables. An empty one counts as not set. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What is wrong and what mends it. Line and column count from 1; a `file` that is an environment variable has line 0. */
export interface Problem extends ConfigProblem {
  readonly column: number
}

/** A configuration that cannot be used. The message is for people, a line per problem; no secret is in it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Text from outside for a terminal or a log: in quotes, at most 64 characters, with control and direction characters made visible. */
export function quote(text: string): string {
  const shown = text.length > 64 ? `${text.slice(0, 64)}...` : text
  return `"${shown.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (hidden) => `\\u{${hidden.codePointAt(0)?.toString(16)}}`)}"`
}
