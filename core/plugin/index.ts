/** What a plugin imports, as `patchbay/plugin`. */
export { Type } from 'typebox'
export type {
  Clients,
  ConnectedClient,
  DBus,
  DBusObjects,
  DBusSignal,
  Exec,
  ExecResult,
  Finding,
  Program,
  Served,
  SignalFilter,
  TokenRequest,
} from './capabilities.ts'
export type {
  Call,
  Caller,
  CodedError,
  Context,
  Group,
  Log,
  Owner,
  Plugin,
  Release,
  RouteRequest,
  RouteResponse,
  Target,
  Watch,
} from './context.ts'
export { definePlugin } from './context.ts'
export type { CommandPayload, CommandResult, Contract, EventPayload, JsonSchema, Settings } from './contract.ts'
export { defineContract } from './contract.ts'
export type { OpenStore, Sql, Store, StoreMigration, StoreMigrations } from './store.ts'
