import type { Namespace, Server } from 'socket.io'
import type { Access } from '../auth/access.ts'
import { maySubscribe } from './authorize.ts'
import { Client } from './client.ts'
import { Deliverer } from './deliver.ts'
import type { Command, Event, Group, Module } from './module.ts'
import type { Policy } from './policy.ts'

/** A namespace with its one auth policy and the modules on it. */
export interface Mount {
  readonly policy: Policy
  readonly modules: Set<Module>
  readonly commands: Map<string, Command>
}

/** Who is connected, what is mounted, and the way from one to the other. */
export class Hub {
  readonly clients = new Map<string, Client>()
  readonly modules = new Map<string, Module>()
  readonly mounts = new Map<string, Mount>()
  readonly deliverer: Deliverer
  readonly #io: Server
  readonly #policies: ReadonlyMap<string, Policy>
  readonly #coreCommands: ReadonlyMap<string, Command>
  readonly #access: () => Access
  /** Set by the wire: what a namespace that is mounted for the first time needs. */
  onNamespace: (namespace: Namespace) => void = () => {}

  constructor(options: {
    io: Server
    policies: ReadonlyMap<string, Policy>
    coreCommands: ReadonlyMap<string, Command>
    access: () => Access
    maxBacklog: () => number
  }) {
    this.#io = options.io
    this.#policies = options.policies
    this.#coreCommands = options.coreCommands
    this.#access = options.access
    this.deliverer = new Deliverer(this.clients, options.maxBacklog)
  }

  /** Mounts a module, or says why that cannot be: a policy or a name is in the way. Then nothing has changed. */
  add(module: Module): string | undefined {
    const policyName = module.contract.policy ?? 'patchbay'
    const policy = this.#policies.get(policyName)
    const namesake = this.modules.get(module.id)
    if (namesake) return `another plugin with the id "${module.id}" is mounted on ${namesake.mount}`
    if (!policy) return `its auth policy "${policyName}" is not known to this host`
    for (const { namespace, commands, events } of module.groups.values()) {
      const mount = this.mounts.get(namespace)
      if (!mount) continue
      if (mount.policy !== policy) return `the namespace ${namespace} has the auth policy "${mount.policy.name}", not "${policyName}"; mount it elsewhere`
      for (const other of mount.modules) {
        const taken = clash(groupOn(other, namespace), { namespace, commands, events })
        if (taken) return `"${taken}" on the namespace ${namespace} belongs to the plugin "${other.id}"`
      }
    }
    this.modules.set(module.id, module)
    for (const group of module.groups.values()) this.#mount(group, module, policy)
    return undefined
  }

  /** Takes a module away. Its subscribers hear no more of it; a namespace that is left empty is closed. */
  remove(module: Module): void {
    for (const client of [...module.subscribers]) this.unsubscribe(client, module)
    this.modules.delete(module.id)
    for (const { namespace, commands } of module.groups.values()) {
      const mount = this.mounts.get(namespace)
      mount?.modules.delete(module)
      for (const name of commands.keys()) mount?.commands.delete(name)
      if (mount?.modules.size !== 0) continue
      this.mounts.delete(namespace)
      this.#io.of(namespace).disconnectSockets()
    }
  }

  find(namespace: string, name: string): Command | undefined {
    const mount = this.mounts.get(namespace)
    return mount?.commands.get(name) ?? (mount?.policy.subscriptions ? this.#coreCommands.get(name) : undefined)
  }

  /** The module a client on this namespace means. */
  moduleOn(namespace: string, id: string): Module | undefined {
    const module = this.modules.get(id)
    return module && this.mounts.get(namespace)?.modules.has(module) ? module : undefined
  }

  subscribe(client: Client, module: Module): void {
    if (module.subscribers.has(client)) return
    module.subscribers.add(client)
    client.subscriptions.add(module)
    void client.socket.join(module.room)
    if (module.subscribers.size === 1) module.audience?.first()
    this.sendSnapshots(client, module)
    module.audience?.joined()
  }

  unsubscribe(client: Client, module: Module): void {
    if (!module.subscribers.delete(client)) return
    client.subscriptions.delete(module)
    void client.socket.leave(module.room)
    for (const { events } of module.groups.values()) for (const event of events.keys()) client.waiting.delete(event)
    if (module.subscribers.size === 0) module.audience?.last()
  }

  /** The last value of every retained event, and what is made on demand. */
  sendSnapshots(client: Client, module: Module): void {
    for (const [event, payload] of module.retained) this.deliverer.send(client, { event, payload, retained: true })
    for (const [event, provide] of module.providers) {
      // The plugin's context catches and reports what a provider throws.
      void Promise.resolve(provide()).then((payload) => {
        if (payload !== undefined && module.subscribers.has(client)) this.deliverer.send(client, { event, payload, retained: true })
      })
    }
  }

  /** Publishes one of a module's events to those its contract names, or to `room`. */
  publish(module: Module, group: Group, name: string, event: Event, payload: unknown, room?: string): void {
    const { retained = false, to = 'subscribers' } = event.definition
    if (retained) module.retained.set(name, payload)
    if (to === 'subscribers' && module.subscribers.size === 0) return
    const delivery = { event: name, payload, retained }
    const namespace = this.#io.of(group.namespace)
    if (to === 'subscribers') this.deliverer.broadcast(namespace, module.room, delivery)
    else this.deliverer.broadcast(namespace, room, { ...delivery, allowed: (client) => maySubscribe(this.#access(), client, module) })
  }

  /** The `error` channel: a failure that belongs to no command goes to the module's subscribers. */
  publishError(module: Module, error: { code: string; message: string; details?: unknown }): void {
    if (module.subscribers.size === 0) return
    const namespace = this.#io.of((module.groups.get('') as Group).namespace)
    this.deliverer.broadcast(namespace, module.room, { event: 'error', payload: { module: module.id, ...error }, retained: false })
  }

  /** Ends subscriptions that are no longer allowed; call it when roles changed. */
  review(client: Client): void {
    for (const module of [...client.subscriptions])
      if (!maySubscribe(this.#access(), client, module)) {
        this.unsubscribe(client, module)
        client.socket.emit('error', { module: module.id, code: 'FORBIDDEN', message: `You may not hear ${module.id} any more.` })
      }
  }

  #mount(group: Group, module: Module, policy: Policy): void {
    let mount = this.mounts.get(group.namespace)
    if (!mount) {
      mount = { policy, modules: new Set(), commands: new Map() }
      this.mounts.set(group.namespace, mount)
      this.onNamespace(this.#io.of(group.namespace))
    }
    mount.modules.add(module)
    for (const [name, command] of group.commands) mount.commands.set(name, command)
  }
}

function groupOn(module: Module, namespace: string): Group | undefined {
  return [...module.groups.values()].find((group) => group.namespace === namespace)
}

/** A name that both claim. */
function clash(one: Group | undefined, other: Group): string | undefined {
  return [...other.commands.keys(), ...other.events.keys()].find((name) => one?.commands.has(name) || one?.events.has(name))
}

/** The room of an `addressed` event. */
export function roomOf(module: Module, target: { client: string } | { user: string } | { room: string }): string {
  if ('client' in target) return target.client
  return 'user' in target ? Client.userRoom(target.user) : `room:${module.id}:${target.room}`
}
