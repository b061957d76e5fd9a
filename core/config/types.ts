import type hostSchema from '../../config/schemas/host.schema.json'

type Host = (typeof hostSchema)['properties']

/** `host.json` with its defaults and the environment's overrides. The schema describes every field and its unit. */
export interface HostConfig {
  readonly address: string
  readonly port: number
  readonly publicUrl?: string
  readonly hosts: readonly string[]
  readonly origins: readonly string[]
  readonly trustedProxies: readonly string[]
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly namespace: string
  readonly pluginDirs: readonly string[]
  readonly telegram: { readonly botId?: number; readonly environment: 'production' | 'test' }
  readonly limits: Readonly<Record<keyof Host['limits']['properties'], number>>
  readonly ages: Readonly<Record<keyof Host['ages']['properties'], number>>
  readonly log: { readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent' }
}

/** `access.json`: a role or roles by Telegram user id, each built in or defined; grants by the name of a defined role. */
export interface AccessConfig {
  readonly users: Readonly<Record<string, string | readonly string[]>>
  readonly roles: Readonly<Record<string, readonly string[]>>
}

/** What `plugins.json` says of a plugin. Its contract has not judged the settings yet. */
export interface PluginEntry {
  readonly enabled?: boolean
  readonly namespace?: string
  /** Where its code runs. */
  readonly runIn?: 'host' | 'process'
  /** Megabytes that its own process may use. */
  readonly memoryMb: number
  /** What an owner agreed to that it may touch (`lifecycle/grants.ts`). */
  readonly grants?: readonly string[]
  /** Whose tokens open its namespaces; with an issuer there are its audience, its algorithms and one of the three sources of keys. */
  readonly auth?: AuthConfig
  readonly settings: Readonly<Record<string, unknown>>
}

/** The schema of plugins.json describes every field. */
export interface AuthConfig {
  readonly issuer?: string
  readonly audience?: string
  readonly algorithms?: readonly string[]
  readonly secretFile?: string
  readonly keysFile?: string
  readonly jwksUrl?: string
  readonly rolesClaim?: string
  readonly cookie?: string
  readonly own?: boolean
  readonly ownKeyFile?: string
}

/** The content of each file, by the file's name. */
export interface ConfigFiles {
  readonly host: HostConfig
  readonly access: AccessConfig
  /** By plugin id. */
  readonly plugins: { readonly plugins: Readonly<Record<string, PluginEntry>> }
}

export type FileName = keyof ConfigFiles
