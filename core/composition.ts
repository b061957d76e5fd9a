import 'reflect-metadata'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Server } from 'socket.io'
import { container, type DependencyContainer, type InjectionToken, instanceCachingFactory } from 'tsyringe'
import { Access } from './auth/access.ts'
import { OneTimeLinks } from './auth/one-time-link.ts'
import { PatchbayPolicy } from './auth/patchbay-policy.ts'
import { type Session, Sessions } from './auth/sessions.ts'
import { SystemBus } from './capabilities/dbus.ts'
import { createCapabilities } from './capabilities/index.ts'
import type { Config } from './config/config.ts'
import { Control } from './http/control.ts'
import { Guard } from './http/guard.ts'
import { Listener } from './http/listener.ts'
import { createHostControl } from './lifecycle/host-control.ts'
import { Loader } from './process/loader.ts'
import { Supervisor } from './lifecycle/supervisor.ts'
import { Connections } from './wire/connections.ts'
import { Door } from './wire/door.ts'
import { Hub } from './wire/hub.ts'
import { Road } from './wire/road.ts'
import { subscriptionCommands } from './wire/subscriptions.ts'

/** What the host is made from. */
export interface Options {
  readonly config: Config
  readonly dataDir: string
  readonly botToken: string | undefined
  readonly log: Logger
  /** The directory of the plugins that come with Patchbay. */
  readonly builtinDir: string
  /** The module that `patchbay/plugin` stands for. */
  readonly apiUrl: string
  readonly loginPage: string
  /** How this installation's command line is called, such as `npx patchbay`. */
  readonly commandName: string
  /** Checks what plugins answer and publish against their contracts. */
  readonly development: boolean
}

function token<T>(name: string): InjectionToken<T> {
  return Symbol(name)
}

/** The things of the host, by name. Made when first asked for, once. */
export const things = {
  options: token<Options>('options'),
  http: token<FastifyInstance & { readonly io: Server }>('http'),
  access: token<{ current: Access }>('access'),
  sessions: token<Sessions>('sessions'),
  reuse: token<Set<(session: Session) => void>>('reuse'),
  links: token<OneTimeLinks>('links'),
  guard: token<Guard>('guard'),
  door: token<Door>('door'),
  hub: token<Hub>('hub'),
  road: token<Road>('road'),
  connections: token<Connections>('connections'),
  bus: token<SystemBus>('bus'),
  supervisor: token<Supervisor>('supervisor'),
  listener: token<Listener>('listener'),
  control: token<Control>('control'),
  policy: token<PatchbayPolicy>('policy'),
}

/** The one place that knows how everything is put together. `http` joins when it is ready (host.ts). */
export function compose(options: Options): DependencyContainer {
  const { config, log } = options
  const all = container.createChildContainer()
  const make = <T>(thing: InjectionToken<T>, factory: () => T) => all.register(thing, { useFactory: instanceCachingFactory(factory) })
  const get = <T>(thing: InjectionToken<T>): T => all.resolve(thing)
  const access = () => get(things.access).current
  const part = (name: string) => log.child({ part: name })

  all.register(things.options, { useValue: options })
  make(things.access, () => ({ current: accessOf(config) }))
  make(things.reuse, () => new Set())
  make(things.sessions, () => {
    const onReuse = (session: Session, address: string) => {
      log.warn({ audit: true, session: session.id, user: session.userId, address }, 'a replaced session token was used again')
      for (const listener of get(things.reuse)) listener(session)
    }
    const ages = () => ({ idleS: config.host.ages.sessionIdleS, absoluteS: config.host.ages.sessionAbsoluteS })
    return new Sessions({ file: `${options.dataDir}/sessions.json`, ages, onProblem: (message) => log.warn(message), onReuse })
  })
  make(things.links, () => new OneTimeLinks())
  make(things.guard, () => new Guard(() => config.host))
  make(things.door, () => new Door({ guard: get(things.guard), limits: () => config.host.limits, log: part('door') }))
  make(things.policy, () => {
    const addCommand = (id: string) => `${options.commandName} access add ${id} operator`
    return new PatchbayPolicy({ access, sessions: get(things.sessions), config: () => config.host, botToken: options.botToken, addCommand })
  })
  make(things.hub, () => {
    const coreCommands = subscriptionCommands(() => get(things.hub), access)
    const policies = new Map([['patchbay', get(things.policy)]])
    return new Hub({ io: get(things.http).io, policies, coreCommands, access, maxBacklog: () => config.host.limits.backlogMessages })
  })
  make(things.road, () => {
    const find = (namespace: string, name: string) => get(things.hub).find(namespace, name)
    const inFlightPerUser = () => config.host.limits.inFlightPerUser
    return new Road({ access, inFlightPerUser, find, log: part('road'), development: options.development })
  })
  make(things.connections, () => {
    const [hub, road, door, sessions] = [get(things.hub), get(things.road), get(things.door), get(things.sessions)]
    return new Connections({ hub, road, door, sessions, log: part('wire') })
  })
  make(things.bus, () => new SystemBus())
  make(things.listener, () => new Listener(get(things.http).server))
  make(things.control, () => new Control())
  make(things.supervisor, () => {
    const [hub, road, bus, reuse] = [get(things.hub), get(things.road), get(things.bus), get(things.reuse)]
    const onReuse = (listener: (session: Session) => void) => {
      reuse.add(listener)
      return () => void reuse.delete(listener)
    }
    const supervisor: Supervisor = new Supervisor({
      hub,
      road,
      bus,
      loader: new Loader(options.apiUrl),
      development: options.development,
      capabilities: (contract) => {
        const host = createHostControl({ config, supervisor, sessions: get(things.sessions), hub, onReuse })
        return createCapabilities(contract, { bus, host })
      },
      logFor: (id) => log.child({ plugin: id }),
      host: () => config.host,
      plugins: () => config.plugins.plugins,
    })
    return supervisor
  })
  return all
}

/** The access list as the configuration has it now. */
export function accessOf({ access }: Config): Access {
  return new Access(access)
}
