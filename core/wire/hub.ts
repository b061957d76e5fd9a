import type { Namespace, Server } from 'socket.io'
import type { Access } from '../auth/access.ts'
import type { ConnectedClient } from '../plugin/capabilities.ts'
import type { Target } from '../plugin/context.ts'
import type { Rate } from '../plugin/contract.ts'
import { maySubscribe } from './authorize.ts'
import { Client } from './client.ts'
import { Deliverer, values } from './deliver.ts'
import { coreErrors } from './errors.ts'
import type { Command, Event, Group, Module } from './module.ts'
import type { Observers } from './observers.ts'
import { disconnectElsewhere, sendElsewhere, tellOthers } from './other-hosts.ts'
import type { Policy } from './policy.ts'

/** Between hosts. */
const peerEvent = 'patchbay:peer'

/** A namespace with its one auth policy and the modules on it. */
export interface Mount {
  readonly policy: Policy
  readonly modules: Set<Module>
  readonly commands: Map<string, Command>
  /** Who cannot be known may enter. */
  readonly anonymous: boolean
  /** Connections of an address that are let in within a minute. */
  readonly pace?: { readonly rate: Rate } | undefined
}

export interface HubOptions {
  readonly io: Server
  /** By name; of some each plugin has one of its own. */
  readonly policies: ReadonlyMap<string, (module: Module) => Policy>
  readonly coreCommands: ReadonlyMap<string, Command>
  readonly access: () => Access
  readonly maxBacklog: () => number
  readonly observers: Observers
}

/** Who is connected, what is mounted, and the way from one to the other. */
export class Hub {
  readonly clients = new Map<string, Client>()
  readonly modules = new Map<string, Module>()
  readonly mounts = new Map<string, Mount>()
  readonly deliverer: Deliverer
  readonly #options: HubOptions
  /** Set by the wire: what a namespace that is mounted for the first time needs. */
  onNamespace: (namespace: Namespace) => void = () => {}

  constructor(options: HubOptions) {
    this.#options = options
    const onCut = (client: Client) => options.observers.cutOff(client.caller.userId)
    this.deliverer = new Deliverer(this.clients, options.maxBacklog, onCut)
  }

  /** Mounts a module, or says why that cannot be: a policy or a name is in the way. Then nothing has changed. */
  add(module: Module): string | undefined {
    const policyName = module.contract.policy ?? 'patchbay'
    const policy = this.#options.policies.get(policyName)?.(module)
    const namesake = this.modules.get(module.id)
    if (namesake) return `another plugin with the id "${module.id}" is mounted on ${namesake.mount}`
    if (!policy) return `its auth policy "${policyName}" is not known to this host`
    for (const { namespace, commands, events } of module.groups.values()) {
      const mount = this.mounts.get(namespace)
      if (!mount) continue
      if (mount.policy !== policy) {
        const not = mount.policy.name === policyName ? 'of another plugin' : `"${mount.policy.name}", not "${policyName}"`
        return `the namespace ${namespace} has the auth policy ${not}; mount it elsewhere`
      }
      for (const other of mount.modules) {
        const group = groupOn(other, namespace)
        const taken = [...commands.keys(), ...events.keys()].find((name) => group?.commands.has(name) || group?.events.has(name))
        if (taken) return `"${taken}" on the namespace ${namespace} belongs to the plugin "${other.id}"`
      }
    }
    this.modules.set(module.id, module)
    for (const group of module.groups.values()) this.#mount(group, module, policy)
    return undefined
  }

  /** Takes a module away. Its subscribers are told and hear no more of it; a namespace that is left empty is closed. */
  remove(module: Module): void {
    this.publishError(module, {
      code: 'MODULE_NOT_FOUND',
      message: `${module.id} was removed, or changed so that you have to subscribe again.`,
    })
    for (const client of [...module.subscribers]) this.unsubscribe(client, module)
    this.modules.delete(module.id)
    for (const { namespace, commands } of module.groups.values()) {
      const mount = this.mounts.get(namespace)
      mount?.modules.delete(module)
      for (const name of commands.keys()) mount?.commands.delete(name)
      if (mount?.modules.size !== 0) continue
      this.mounts.delete(namespace)
      this.#options.io.of(namespace).local.disconnectSockets()
    }
  }

  find(namespace: string, name: string): Command | undefined {
    const mount = this.mounts.get(namespace)
    return mount?.commands.get(name) ?? (mount?.policy.subscriptions ? this.#options.coreCommands.get(name) : undefined)
  }

  /** The module a client on this namespace means. */
  moduleOn(namespace: string, id: string): Module | undefined {
    const module = this.modules.get(id)
    return module && groupOn(module, namespace) && module
  }

  subscribe(client: Client, module: Module): void {
    if (module.subscribers.has(client)) return
    module.subscribers.add(client)
    client.subscriptions.add(module)
    void client.socket.join(module.room)
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

  /** The last value of every retained event of the client's namespace, and what is made on demand. */
  sendSnapshots(client: Client, module: Module): void {
    const { retained, events } = groupOn(module, client.caller.namespace) as Group
    const send = (event: string, payload: unknown) => {
      this.deliverer.send(client, { event, payload, retained: true })
      this.#options.observers.delivered(module.id, event, 1, 0)
    }
    for (const [event, payload] of retained) send(event, payload)
    for (const [event, provide] of module.providers) {
      if (!events.has(event)) continue
      // The plugin's context catches and reports what a provider throws; here fails what cannot be sent.
      Promise.resolve(provide())
        .then((payload) => payload !== undefined && module.subscribers.has(client) && send(event, payload))
        .catch(() => this.publishError(module, { code: 'INTERNAL', message: coreErrors.INTERNAL }))
    }
  }

  /** Publishes one of a module's events to those its contract names, or to `target`. Throws if the payload cannot be sent. */
  publish(module: Module, group: Group, name: string, event: Event, payload: unknown, target?: Target): void {
    const { retained = false, to = 'subscribers' } = event.definition
    const delivery = { event: name, payload, retained }
    const namespace = this.#options.io.of(group.namespace)
    const { access, observers } = this.#options
    // A retained value is encoded in any case: what cannot be sent must not be kept.
    if (to === 'subscribers' && !retained && module.subscribers.size === 0) return
    // Behind a gate of its own it is the plugin that says who may hear what.
    const allowed = module.isGated && target ? undefined : (client: Client) => maySubscribe(access(), client, module)
    const { clients, held } =
      to === 'subscribers'
        ? this.deliverer.broadcast(namespace, module.room, delivery)
        : this.deliverer.broadcast(namespace, target && roomOf(module, target), delivery, allowed)
    if (target && module.isGated) sendElsewhere(namespace, roomOf(module, target), name, values(delivery))
    observers.delivered(module.id, name, clients, held)
    if (retained) group.retained.set(name, payload)
  }

  /** The value of a retained event is no longer so. */
  forget(module: Module, events: Iterable<string>): void {
    module.forget(events)
  }

  /** From now on the value of a retained event is made when somebody subscribes. */
  provide(module: Module, event: string, value: () => unknown): void {
    module.providers.set(event, value)
  }

  /** The `error` channel: a failure that belongs to no command goes to the module's subscribers, or to `target` as an event would. */
  publishError(module: Module, error: { code: string; message: string; details?: unknown }, target?: Target): void {
    const delivery = { event: 'error', payload: { module: module.id, ...error }, retained: false }
    if (module.subscribers.size === 0 && !target) return
    const may = target && ((client: Client) => maySubscribe(this.#options.access(), client, module))
    for (const { namespace } of module.groups.values())
      this.deliverer.broadcast(this.#options.io.of(namespace), target ? roomOf(module, target) : module.room, delivery, may)
  }

  /** Ends subscriptions that are no longer allowed, and what the client wished for beyond them; call it when roles changed. */
  review(client: Client): void {
    for (const module of this.modules.values()) {
      module.audience?.reviewed?.(client)
      if (maySubscribe(this.#options.access(), client, module)) continue
      if (groupOn(module, client.caller.namespace)) module.audience?.left(client.caller.clientId)
      if (!module.subscribers.has(client)) continue
      this.unsubscribe(client, module)
      client.socket.emit('error', { module: module.id, code: 'FORBIDDEN', message: `You may not hear ${module.id} any more.` })
    }
  }

  /** Tells a plugin that runs, and asks for it, who is connected; of all, or of one who has just come. */
  introduce(module: Module, clients: Iterable<Client> = this.clients.values()): void {
    if (!module.contract.capabilities?.clients) return
    for (const client of clients) {
      if (!module.audience || !groupOn(module, client.caller.namespace)) continue
      void module.audience.connected?.(describe(module, client))
      client.met.add(module.id)
    }
  }

  /** Tells the same plugin on other hosts. */
  tellPeers({ mount, id }: Module, value: unknown): void {
    tellOthers(this.#options.io.of(mount), peerEvent, id, value)
  }

  /** Closes those in a room of a namespace, on other hosts too. What they were sent before arrives first. */
  disconnect(namespace: string, room: string): void {
    const { local } = this.#options.io.of(namespace)
    local.in(room).disconnectSockets()
    disconnectElsewhere(this.#options.io.of(namespace), room)
  }

  #mount({ namespace, commands, anonymous }: Group, module: Module, policy: Policy): void {
    const { connectionsPerMinute: max } = module.contract
    const mount: Mount = this.mounts.get(namespace) ?? {
      policy,
      modules: new Set(),
      commands: new Map(),
      anonymous,
      ...(max !== undefined && { pace: { rate: { max, windowMs: 60_000 } } }),
    }
    this.mounts.set(namespace, mount)
    mount.modules.add(module)
    for (const [name, command] of commands) mount.commands.set(name, command)
    const known = this.#options.io.of(namespace)
    this.onNamespace(known)
    if (known.listenerCount(peerEvent) === 0)
      known.on(peerEvent, (id: string, value: unknown) => this.modules.get(id)?.audience?.told?.(value))
    // Where to connect is to subscribe, those who came before the module hear it too.
    if (!policy.subscriptions)
      for (const client of this.clients.values())
        if (client.caller.namespace === namespace && !client.isAnonymous) this.subscribe(client, module)
  }
}

export function groupOn(module: Module, namespace: string): Group | undefined {
  return [...module.groups.values()].find((group) => group.namespace === namespace)
}

/** The room of an `addressed` event. */
export function roomOf(module: Module, target: Target): string {
  if ('client' in target) return target.client
  return 'user' in target ? Client.userRoom(target.user) : `${roomPrefix(module)}${target.room}`
}

const roomPrefix = (module: Module) => `room:${module.id}:`

/** A client as a plugin sees it. */
export function describe(module: Module, client: Client): ConnectedClient {
  const { socket, caller, address, session, roles, isAnonymous, refusal } = client
  const [group = ''] = [...module.groups].find(([, { namespace }]) => namespace === caller.namespace) ?? []
  const auth = { ...(socket.handshake.auth as Readonly<Record<string, unknown>>) }
  delete auth.token
  const prefix = roomPrefix(module)
  return {
    clientId: socket.id,
    userId: session.userId,
    isAnonymous,
    roles,
    claims: session.claims,
    group,
    address,
    auth: module.handshake ? auth : {},
    connectedAt: socket.handshake.issued,
    rooms: [...socket.rooms].filter((room) => room.startsWith(prefix)).map((room) => room.slice(prefix.length)),
    isKnown: client.met.has(module.id),
    ...(refusal !== undefined && { refusal }),
  }
}
