import 'reflect-metadata'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { container, type DependencyContainer, type InjectionToken, instanceCachingFactory } from 'tsyringe'
import { Access } from './auth/access.ts'
import { JwtPolicies } from './auth/jwt-policies.ts'
import { OneTimeLinks } from './auth/one-time-link.ts'
import { PatchbayPolicy } from './auth/patchbay-policy.ts'
import { Sessions, type SessionsOptions } from './auth/sessions.ts'
import type { Config } from './config/config.ts'
import { AppFiles } from './http/app-files.ts'
import { Control } from './http/control.ts'
import { Guard } from './http/guard.ts'
import { Listener } from './http/listener.ts'
import type { HttpServer } from './http/server.ts'
import { createHostControl } from './lifecycle/host-control.ts'
import { Supervisor } from './lifecycle/supervisor.ts'
import { pace } from './lifecycle/unit-parts.ts'
import type { HostControl, HostFacts } from './plugin/host-control.ts'
import { createCapabilities } from './process/capabilities.ts'
import { SystemBus, systemBusAddress } from './process/dbus.ts'
import { type Launch, type LaunchRequest, launch } from './process/launch.ts'
import { Loader } from './process/loader.ts'
import { createPluginLog } from './process/plugin-log.ts'
import { revocationsIn } from './process/shared-revocations.ts'
import type { StorePlace } from './process/store.ts'
import { createUnitLaunch } from './process/unit-launch.ts'
import { SafeMode } from './safe-mode.ts'
import { createClientControl } from './wire/client-control.ts'
import { Connections } from './wire/connections.ts'
import { Door } from './wire/door.ts'
import { Hub } from './wire/hub.ts'
import type { Module } from './wire/module.ts'
import { Observers } from './wire/observers.ts'
import { tellOthers } from './wire/other-hosts.ts'
import type { Policy } from './wire/policy.ts'
import { Road } from './wire/road.ts'
import { subscriptionCommands } from './wire/subscriptions.ts'

/** What the host is made from. */
export interface Options {
  readonly config: Config
  readonly dataDir: string
  readonly botToken: string | undefined
  /** Of the PostgreSQL where plugins keep their data; in files otherwise. */
  readonly storeUrl?: string | undefined
  /** Other hosts that serve the same contracts meet in this Redis. */
  readonly redisUrl?: string | undefined
  readonly log: Logger
  /** The directory of the plugins that come with Patchbay. */
  readonly builtinDir: string
  /** The module that `patchbay/plugin` stands for. */
  readonly apiUrl: string
  /** What runs in a plugin's own process. */
  readonly child: LaunchRequest['child']
  readonly loginPage: string
  /** How this installation's command line is called, such as `npx patchbay`. */
  readonly commandName: string
  /** Checks what plugins answer and publish against their contracts. */
  readonly development: boolean
  /** Where the system bus is; by default where D-Bus says. */
  readonly busAddress?: string
  /** Where it is laid out what the services see that systemd runs third parties' plugins in; undefined where there are none. */
  readonly confinedDir?: string | undefined
  /** Other deadlines for the plugins than the usual. */
  readonly pace?: Partial<typeof pace>
}

/** What is no class and so needs a token of its own. `http` is registered when it is ready (host.ts). */
export const http: InjectionToken<HttpServer> = Symbol('http')
export const access: InjectionToken<() => Access> = Symbol('access')
/** Tells this start of the daemon from others. */
export const instance: InjectionToken<string> = Symbol('instance')
export const hostControl: InjectionToken<HostControl> = Symbol('host control')

/** Third parties' plugins are services of systemd where it has a template for them. */
function launchFor({ confinedDir, busAddress = systemBusAddress() }: Options, bus: SystemBus): Launch {
  if (!confinedDir) return launch
  const launchUnit = createUnitLaunch({ directory: confinedDir, bus, busAddress })
  return (request) => (request.grants ? launchUnit(request) : launch(request))
}

/** What others may read there too is not for a stranger's plugin: it keeps its data in a file. */
function storePlace({ dataDir, storeUrl }: Options, id: string, builtin: boolean): StorePlace {
  if (builtin && storeUrl) return { url: storeUrl, schema: `patchbay_${id.replaceAll('-', '_')}` }
  return { file: join(dataDir, 'store', id, 'store.db') }
}

/** The one place that knows how everything is put together. Each thing is made once, when first asked for. */
export function compose(options: Options): DependencyContainer {
  const { config, log } = options
  const all = container.createChildContainer()
  const make = <T>(thing: InjectionToken<T>, factory: () => T) =>
    all.register(thing, { useFactory: instanceCachingFactory(factory) })
  const get = <T>(thing: InjectionToken<T>): T => all.resolve(thing)
  const part = (name: string) => log.child({ part: name })
  const limits = () => config.host.limits

  make(access, () => {
    let current = new Access(config.access)
    config.onChange((change) => {
      if (change === 'access') current = new Access(config.access)
    })
    return () => current
  })
  make(Observers, () => new Observers(part('audit')))
  make(Sessions, () => {
    const onReuse: SessionsOptions['onReuse'] = ({ id, userId }, address) =>
      get(Observers).notice({ kind: 'token_reused', userId, session: id, address })
    const ages = () => ({ idleS: config.host.ages.sessionIdleS, absoluteS: config.host.ages.sessionAbsoluteS })
    return new Sessions({ file: `${options.dataDir}/sessions.json`, ages, onProblem: (message) => log.warn(message), onReuse })
  })
  make(OneTimeLinks, () => new OneTimeLinks())
  make(Guard, () => new Guard(() => config.host))
  make(Door, () => new Door({ guard: get(Guard), limits, log: part('door') }))
  make(PatchbayPolicy, () => {
    const addCommand = (id: string) => `${options.commandName} access add ${id} operator`
    const { botToken } = options
    return new PatchbayPolicy({ access: get(access), sessions: get(Sessions), config: () => config.host, botToken, addCommand })
  })
  make(JwtPolicies, () => {
    const { dataDir, storeUrl, redisUrl } = options
    const root = get(http).io.of('/')
    const parts = { config, dataDir, guard: get(Guard), log: part('tokens') }
    const policies: JwtPolicies = new JwtPolicies({
      ...parts,
      onEnd: (hasEnded) => get(Connections).end(hasEnded),
      sharedFor: (id) => (storeUrl && redisUrl ? revocationsIn(storeUrl, id) : undefined),
      tellOthers: (id) => tellOthers(root, 'patchbay:revoked', id),
    })
    root.on('patchbay:revoked', (id: string) => policies.told(id))
    return policies
  })
  make(Hub, () => {
    const coreCommands = subscriptionCommands(() => get(Hub), get(access))
    const policies = new Map<string, (module: Module) => Policy>([
      ['patchbay', () => get(PatchbayPolicy)],
      ['jwt', ({ id }) => get(JwtPolicies).of(id)],
    ])
    return new Hub({
      io: get(http).io,
      policies,
      coreCommands,
      access: get(access),
      maxBacklog: () => limits().backlogMessages,
      observers: get(Observers),
    })
  })
  make(Road, () => {
    const hub = get(Hub)
    const find = (namespace: string, name: string) => hub.find(namespace, name)
    const { development } = options
    return new Road({
      access: get(access),
      inFlightPerUser: () => limits().inFlightPerUser,
      find,
      log: part('road'),
      observers: get(Observers),
      development,
    })
  })
  make(Connections, () => {
    const [hub, road, door, sessions] = [get(Hub), get(Road), get(Door), get(Sessions)]
    return new Connections({ hub, road, door, sessions, observers: get(Observers), log: part('wire') })
  })
  make(SystemBus, () => new SystemBus(options.busAddress))
  make(Listener, () => new Listener(get(http).server))
  make(Control, () => new Control())
  make(AppFiles, () => new AppFiles())
  make(SafeMode, () => {
    const { dataDir, commandName } = options
    return new SafeMode({ dataDir, commandName, log: part('starts') })
  })
  make(Supervisor, () => {
    const [hub, road, bus] = [get(Hub), get(Road), get(SystemBus)]
    const supervisor: Supervisor = new Supervisor({
      hub,
      road,
      bus,
      observers: get(Observers),
      safeMode: get(SafeMode),
      keepDir: join(options.dataDir, 'last-good'),
      loader: new Loader(options.apiUrl),
      development: options.development,
      pace: { ...pace, ...options.pace },
      remote: {
        launch: launchFor(options, bus),
        child: options.child,
        closed: [config.dir, options.dataDir],
        hasUnits: Boolean(options.confinedDir),
        busAddress: options.busAddress,
      },
      capabilities: (module, store) => {
        const clients = createClientControl({ hub, module, connections: () => get(Connections) })
        return createCapabilities(module.contract, { bus, host: get(hostControl), store, clients })
      },
      storeFor: (id, builtin) => storePlace(options, id, builtin),
      logsFor: (id) => {
        const own = log.child({ plugin: id })
        return { log: own, pluginLog: createPluginLog(own) }
      },
      config,
      commandName: options.commandName,
    })
    return supervisor
  })
  make(instance, () => randomUUID())
  const facts = (): HostFacts => ({
    config: config.host,
    problems: config.problems,
    configDir: config.dir,
    dataDir: options.dataDir,
    hasOwner: get(access)().hasOwner(),
    commandName: options.commandName,
    running: { instance: get(instance), refusedHosts: get(Guard).refusedHosts, safeMode: get(SafeMode).sentence },
  })
  make(hostControl, () =>
    createHostControl({
      config,
      supervisor: get(Supervisor),
      sessions: get(Sessions),
      hub: get(Hub),
      observers: get(Observers),
      bus: get(SystemBus),
      facts,
      listener: () => get(Listener),
      app: get(AppFiles),
      directory: join(options.dataDir, 'host'),
    }),
  )
  return all
}
