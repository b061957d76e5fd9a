import type { DependencyContainer, InjectionToken } from 'tsyringe'
import type { Identity, Refusal } from './auth/identity.ts'
import { OneTimeLinks } from './auth/one-time-link.ts'
import { PatchbayPolicy } from './auth/patchbay-policy.ts'
import { Sessions } from './auth/sessions.ts'
import { access, compose, hostControl, http, instance, type Options } from './composition.ts'
import { claimDataDir } from './control-commands.ts'
import { followConfig } from './follow-config.ts'
import { AppFiles } from './http/app-files.ts'
import { Control } from './http/control.ts'
import { Guard } from './http/guard.ts'
import { Listener } from './http/listener.ts'
import { addPluginRoutes } from './http/plugin-routes.ts'
import { addRoutes } from './http/routes.ts'
import { closeHttpServer, createHttpServer } from './http/server.ts'
import { Discovery } from './lifecycle/discovery.ts'
import { Supervisor } from './lifecycle/supervisor.ts'
import type { PluginStatus } from './plugin/host-control.ts'
import type { ProcessFigures } from './process/running.ts'
import { SafeMode } from './safe-mode.ts'
import { listenError, StartError } from './start-error.ts'
import { Connections } from './wire/connections.ts'
import { Door } from './wire/door.ts'
import { Hub } from './wire/hub.ts'
import { Observers } from './wire/observers.ts'
import { joinOtherHosts } from './wire/other-hosts.ts'

interface Part {
  readonly name: string
  /** Why it stands at this place in the order. */
  readonly reason: string
  start(): unknown
  /** `isDeath`: because of a defect. */
  stop?(isDeath: boolean): unknown
}

/** The daemon: its parts, started in order and stopped in reverse. */
export class Host {
  readonly #options: Options
  readonly #all: DependencyContainer
  readonly #started: Array<Part & { readonly ms: number }> = []
  #discovery: Discovery | undefined
  #isReady = false
  #leaveOthers: (() => Promise<void>) | undefined

  constructor(options: Options) {
    this.#options = options
    this.#all = compose(options)
  }

  #get<T>(thing: InjectionToken<T>): T {
    return this.#all.resolve(thing)
  }

  readonly #parts: readonly Part[] = [
    {
      name: 'data directory',
      reason: 'first: whoever holds it is the one daemon here',
      start: () => this.#claimDataDir(),
      stop: () => this.#get(Control).close(),
    },
    {
      name: 'safe mode',
      reason: 'before anything that may end this process, so that it is known next time',
      start: () => this.#get(SafeMode).begin(),
      stop: (isDeath) => isDeath || this.#get(SafeMode).end(),
    },
    {
      name: 'sessions',
      reason: 'before the door opens, so that nobody is logged out by a restart',
      start: () => this.#get(Sessions).load(),
      stop: () => this.#get(Sessions).close(),
    },
    {
      name: 'http',
      reason: 'the server that Socket.IO and the routes live on; nothing can reach it yet',
      start: () => this.#createHttp(),
      stop: () => closeHttpServer(this.#get(http)),
    },
    {
      name: 'other hosts',
      reason: 'before there is a namespace: each has a way to the others from the start',
      start: () => this.#joinOthers(),
      stop: () => this.#leaveOthers?.(),
    },
    {
      name: 'wire',
      reason: 'who may come in is settled before anybody can',
      start: () => this.#openDoor(),
    },
    {
      name: 'plugins found',
      reason: 'before the listener: a client that is told "Invalid namespace" does not come back',
      start: async () => this.#get(Supervisor).meet(await this.#discover().scan()),
    },
    {
      name: 'listener',
      reason: 'before the plugins start: clients may subscribe to what is still starting, and a port that is taken costs nothing',
      start: () => this.#listen(),
      stop: () => this.#get(Listener).close(),
    },
    {
      name: 'plugins',
      reason: 'each for itself; none keeps another or the host waiting',
      start: () => this.#startPlugins(),
      stop: async () => {
        await this.#discovery?.close()
        await this.#get(Supervisor).stop()
      },
    },
    {
      name: 'configuration watch',
      reason: 'last: a change now finds everything that it can change',
      start: () => followConfig(this.#options, this.#all, () => this.#rediscover()),
      stop: () => this.#options.config.close(),
    },
  ]

  /** Where clients connect to. */
  get url(): string {
    return this.#options.config.host.publicUrl ?? this.#get(Listener).url
  }

  /** Rejects with a StartError; what had started is stopped again. */
  async start(): Promise<void> {
    for (const part of this.#parts) {
      const begun = performance.now()
      try {
        await part.start()
      } catch (error) {
        await this.stop(!(error instanceof StartError))
        throw error
      }
      this.#started.push({ ...part, ms: performance.now() - begun })
    }
    this.#isReady = true
    this.#options.log.info({ url: this.#get(Listener).url }, 'is ready')
  }

  /** `isDeath`: a defect ends it. */
  async stop(isDeath = false): Promise<void> {
    this.#isReady = false
    for (let part = this.#started.pop(); part; part = this.#started.pop())
      try {
        await part.stop?.(isDeath)
      } catch (error) {
        this.#options.log.error({ err: error }, `${part.name} did not stop`)
      }
  }

  /** Whether nobody is configured as owner: then the one-time link is the only way in. */
  get needsLink(): boolean {
    return !this.#get(access)().hasOwner()
  }

  /** A code that logs its bearer in as the local owner, once, and where the daemon listens; with `lan` also from private addresses. */
  issueLink(lan: boolean): { readonly code: string; readonly url: string } {
    return { code: this.#get(OneTimeLinks).issue({ lan }).code, url: this.#get(Listener).url }
  }

  /** Every plugin with its state. */
  status(): PluginStatus[] {
    return this.#get(Supervisor).statuses()
  }

  /** Calls `listener` after every change of a plugin's state. */
  onStatus(listener: () => void): void {
    this.#get(Supervisor).onChange(listener)
  }

  /** How many clients are subscribed to a module. */
  subscriberCount(id: string): number {
    return this.#get(Hub).modules.get(id)?.subscribers.size ?? 0
  }

  /** What the process of a plugin costs; undefined unless it has one. */
  figures(id: string): ProcessFigures | undefined {
    return this.#get(Supervisor).unit(id)?.figures()
  }

  /** Fails the plugin whose code an uncaught error came out of; false if it was none of them. */
  blame(error: unknown): boolean {
    return this.#get(Supervisor).blame(error)
  }

  #claimDataDir(): Promise<void> {
    return claimDataDir(this.#options.dataDir, this.#get(Control), {
      control: () => this.#get(hostControl),
      hub: () => this.#get(Hub),
      issueLink: (lan) => this.issueLink(lan),
      observers: this.#get(Observers),
    })
  }

  async #createHttp(): Promise<void> {
    const { log, config, loginPage, dataDir } = this.#options
    const [guard, sessions, observers] = [this.#get(Guard), this.#get(Sessions), this.#get(Observers)]
    const app = await createHttpServer({ log, guard, messageBytes: config.host.limits.messageBytes })
    const rolesOf = (identity: Identity) => this.#get(PatchbayPolicy).rolesOf(identity)
    addRoutes(app, {
      guard,
      loginPage,
      sessions,
      rolesOf,
      instance: this.#get(instance),
      links: this.#get(OneTimeLinks),
      onLogin: ({ userId, id }, address) => observers.notice({ kind: 'login', by: 'link', userId, session: id, address }),
      onRefusal: (refusal, address) => this.#tellRefusal(refusal, address),
      isReady: () => this.#isReady,
      overview: () => this.#overview(),
    })
    // The hub needs the server, and the routes are added before the server is ready: they ask when a request comes.
    addPluginRoutes(app, {
      guard,
      sessions,
      rolesOf,
      observers,
      dataDir,
      access: this.#get(access),
      hub: () => this.#get(Hub),
      app: this.#get(AppFiles),
    })
    await app.ready()
    this.#all.register(http, { useValue: app })
  }

  async #joinOthers(): Promise<void> {
    const { redisUrl, log } = this.#options
    if (!redisUrl) return
    this.#leaveOthers = await joinOtherHosts(this.#get(http).io, redisUrl, log)
  }

  #openDoor(): void {
    const { io } = this.#get(http)
    const [hub, door, connections] = [this.#get(Hub), this.#get(Door), this.#get(Connections)]
    door.attach(io)
    door.onRefusal = (refusal, address) => this.#tellRefusal(refusal, address)
    hub.onNamespace = (namespace) => connections.serve(namespace)
    // Socket.IO always has this one: it must ask at the door even when nothing is mounted on it.
    connections.serve(io.of('/'))
    this.#get(Sessions).onEnd = (session, why) => {
      this.#get(Observers).notice({ kind: 'session_ended', why, userId: session.userId, session: session.id })
      connections.end((other) => other === session)
    }
  }

  async #listen(): Promise<void> {
    const { host } = this.#options.config
    const refuse = (error: unknown) => Promise.reject(listenError(host, error))
    await this.#get(Listener).listen(host).catch(refuse)
  }

  async #startPlugins(): Promise<void> {
    void this.#get(Supervisor).reconcile()
    await this.#discovery?.watch()
  }

  #discover(): Discovery {
    const { builtinDir, dataDir, config, log } = this.#options
    const others = [`${dataDir}/plugins`, ...config.host.pluginDirs].map((path) => ({ path, builtin: false }))
    this.#discovery = new Discovery({
      dirs: [{ path: builtinDir, builtin: true }, ...others],
      onChange: (found) => void this.#get(Supervisor).reconcile(found),
      onProblem: (sentence) => log.warn(sentence),
    })
    return this.#discovery
  }

  async #rediscover(): Promise<void> {
    await this.#discovery?.close()
    await this.#get(Supervisor).reconcile(await this.#discover().scan())
    await this.#discovery?.watch()
  }

  #overview(): object {
    const supervisor = this.#get(Supervisor)
    const boot = this.#started.map(({ name, reason, ms }) => ({ name, reason, ms: Math.round(ms * 10) / 10 }))
    const [plugins, startMs] = [supervisor.health(), supervisor.startTimes()]
    const safeMode = this.#get(SafeMode).sentence
    return { plugins, ...(safeMode && { safeMode }), boot, startMs, configProblems: this.#options.config.problems }
  }

  #tellRefusal({ code, data: { reason } }: Refusal, address: string): void {
    this.#get(Observers).notice({ kind: 'refused', code, reason, address })
  }
}
