import type { Finding } from './capabilities.ts'
import type { Caller } from './context.ts'
import type { CommandDefinition, Contract, ContractRole, EventDefinition, Needs } from './contract.ts'

/** Something that a plugin asks to touch. */
export interface Ask {
  /** As it stands in `grants` in plugins.json, such as `dbus:org.bluez`. */
  readonly grant: string
  /** What granting it means, for people. */
  readonly sentence: string
}

/** How well a plugin is kept from what it was not granted. */
export interface Containment {
  readonly level: 'contained' | 'partly' | 'not contained'
  readonly sentence: string
}

/** A plugin's row on `host:plugins`. */
export interface PluginStatus {
  readonly id: string
  readonly state: 'disabled' | 'unavailable' | 'starting' | 'running' | 'failed' | 'quarantined' | 'stopping'
  /** A sentence: why it is in this state and what mends it. */
  readonly reason?: string
  readonly description?: string
  readonly version: string
  /** It lies in the directory of those that come with Patchbay. */
  readonly builtin: boolean
  readonly namespace: string
  /** Where its code runs: in the daemon's process, or in one of its own. */
  readonly runIn: 'host' | 'process'
  /** Of what does not come with Patchbay. */
  readonly containment?: Containment
  /** What it asks for and was not granted: until then it stays off. Left out where nothing is missing. */
  readonly asks?: Ask[]
  /** Its code changed on disk; a restart of the host loads it. */
  readonly restartPending?: boolean
  /** Its settings ask for hardware that is not real: `"simulated": true`. What it needs is not looked for, and `reason` says so while it runs. */
  readonly simulated?: boolean
  /** When the state was reached, milliseconds since the epoch. */
  readonly since: number
}

/** A problem in a configuration file; the last good content is in force. */
export interface ConfigProblem {
  readonly file: string
  readonly line: number
  readonly message: string
}

export interface SessionInfo {
  readonly id: string
  readonly userId: string
  /** As given by the auth strategy; text from outside. */
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  readonly lastUsedAt: number
  readonly expiresAt: number
  /** Connected sockets now. */
  readonly clients: number
  /** Attempts to use a token of it that had been replaced: a copy of it may be in other hands. */
  readonly refusedTokens: Array<{ readonly at: number; readonly address: string }>
}

/** A plugin whose contract can be read, in whatever state it is. */
export interface MountedContract extends Pick<PluginStatus, 'id' | 'state' | 'simulated' | 'version' | 'builtin' | 'namespace'> {
  /** The auth policy of its namespace. */
  readonly policy: string
  readonly contract: Contract
  /** Absolute path of the folder that its panel is in. What lies there is the plugin's author's. */
  readonly panel?: string
}

/** What the core itself says on every namespace of Patchbay's own policy, and its error codes. */
export interface CoreContract {
  readonly commands: Readonly<Record<string, Omit<CommandDefinition, 'role'>>>
  readonly events: Readonly<Record<string, EventDefinition>>
  readonly errors: Readonly<Record<string, string>>
}

/** A plugin to be examined, in whatever state it is. */
export interface Patient extends Pick<PluginStatus, 'id' | 'state' | 'reason' | 'containment' | 'simulated'> {
  readonly needs: Needs
  /** The checks of the start itself. For a plugin that is switched off no program is started. */
  checkNeeds(): Promise<readonly Finding[]>
  /** What the drivers of a plugin that runs find. */
  diagnose(): Promise<readonly Finding[]>
}

/** The user that this process runs as, for the commands that give it more rights. */
export interface ThisUser {
  readonly uid: number
  /** For people. */
  readonly name: string
  /** For commands; undefined for a user without an entry (some containers), or with a name that a shell might misread. */
  readonly account: string | undefined
  /** The process's own: a group that the user was given meanwhile counts from the next start. */
  readonly gids: readonly number[]
  /** The systemd service that this process is; undefined if a person started it. */
  readonly unit: string | undefined
}

/** What is known of the host, also when no daemon runs. */
export interface HostFacts {
  /** Of host.json. Without it the files are so wrong that nothing is in force; `problems` then tells what. */
  readonly config?: {
    readonly address: string
    readonly port: number
    readonly publicUrl?: string
    readonly tls?: { readonly cert: string }
  }
  readonly problems: readonly ConfigProblem[]
  readonly configDir: string
  readonly dataDir: string
  readonly hasOwner: boolean
  /** How the command line is called. */
  readonly commandName: string
  /** Of the daemon that runs. */
  readonly running?: {
    /** The id of this start; `/healthz` tells it as `X-Patchbay-Instance`. */
    readonly instance: string
    /** Names that it refused requests for, the latest last: how often, and when last (milliseconds since the epoch). */
    readonly refusedHosts: ReadonlyMap<string, { readonly count: number; readonly at: number }>
    /** A sentence: why plugins of third parties are off. */
    readonly safeMode?: string | undefined
  }
}

/** What a plugin costs, and how it fares. */
export interface PluginHealth {
  /** Starts after the first, and runs or starts that failed, since the host started. */
  readonly restarts: number
  readonly failures: number
  /** Commands that it has not answered yet. */
  readonly unanswered: number
  /** Of its own process; there is none of what runs in the host's, where nobody can tell who costs what. */
  readonly process?: {
    /** Undefined where it cannot be known. */
    readonly pid?: number
    /** Seconds of CPU, of all its threads, since it started. */
    readonly cpuS: number
    /** Bytes: all, and without what it shares with others, such as the program's own file. */
    readonly rss: number
    readonly ownMemory: number
    /** Milliseconds that its event loop was late, when it last gave a sign of life. */
    readonly loopDelayMs: number
    /** Messages to it that wait. */
    readonly waiting: number
  }
}

/** How much of everything there is now. */
export interface HostLoad {
  /** Connected sockets. */
  readonly clients: number
  readonly sessions: number
  /** Subscribers, by module. */
  readonly subscriptions: Readonly<Record<string, number>>
  readonly plugins: ReadonlyArray<PluginStatus & PluginHealth>
}

/** A command that was answered. No field but `userId`, `address` and `id` is a client's text. */
export interface CommandOutcome {
  readonly caller: Caller
  readonly address: string
  /** `host` for the core's own commands and for what is none. */
  readonly module: string
  /** Undefined for what is no command here. */
  readonly command: string | undefined
  /** The role its contract asks for; undefined for the core's own. */
  readonly role: ContractRole | undefined
  /** `OK`, or the code of the refusal. */
  readonly code: string
  /** That of the failure. */
  readonly id: string | undefined
  /** Milliseconds from its arrival to its answer. */
  readonly ms: number
}

/** Something about who may do what, or about the host's own state. All texts but `kind` and ids of plugins may be from outside. */
export type Notice =
  | {
      readonly kind: 'login'
      readonly by: 'telegram' | 'link'
      readonly userId: string
      readonly session: string
      readonly address: string
    }
  | { readonly kind: 'connected' | 'disconnected'; readonly userId: string; readonly session: string; readonly address: string }
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string; readonly address: string }
  | {
      readonly kind: 'session_ended'
      readonly why: 'revoked' | 'expired' | 'made room'
      readonly userId: string
      readonly session: string
    }
  | { readonly kind: 'token_reused'; readonly userId: string; readonly session: string; readonly address: string }
  /** A route of a plugin, answered or refused. `userId` is `token:<plugin>` for its own token. */
  | {
      readonly kind: 'http'
      readonly plugin: string
      readonly route: string
      readonly status: number
      readonly userId: string
      readonly address: string
    }
  /** Asked on this machine over the command line's socket. */
  | { readonly kind: 'command_line'; readonly command: string }
  /** The content of a configuration file became another; `changes` such as `users/279058397: owner`, without values of host.json. */
  | { readonly kind: 'config'; readonly file: 'host' | 'access' | 'plugins'; readonly changes: readonly string[] }
  | {
      readonly kind: 'plugin'
      readonly plugin: string
      readonly state: PluginStatus['state']
      readonly reason: string | undefined
    }

/** Told of what passes through the host. Must not throw, and returns at once: clients wait. */
export interface HostObserver {
  command?(outcome: CommandOutcome): void
  /** An event went to clients; `held` of them read slowly and get the next value instead. */
  delivered?(module: string, event: string, clients: number, held: number): void
  /** A client was cut off because it left too much unread. */
  cutOff?(userId: string): void
  notice?(notice: Notice): void
}

/** A file of the app that comes with Patchbay. */
export interface AppFile {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** The host's controls, for modules that come with Patchbay. Every change is written to the configuration files and then takes effect. */
export interface HostControl {
  /** An absolute path, mode 0700: the directory for files of the modules that come with Patchbay. */
  readonly directory: string
  /** Where the daemon listens, such as `http://127.0.0.1:8080`, and the URL that host.json gives to the world. */
  listening(): { readonly url: string; readonly publicUrl?: string }
  plugins(): PluginStatus[]
  configProblems(): ConfigProblem[]
  /** Called when the daemon has come to listen elsewhere, and after every change of what the two above return. */
  onChange(listener: () => void): () => void
  setEnabled(id: string, enabled: boolean): Promise<void>
  /** Records what an owner agreed to, of what the plugin's contract asks for now. Returns what it asks for besides; then nothing is changed. */
  grant(id: string, grants: readonly string[] | undefined): Promise<Ask[]>
  /** Stops and starts a plugin; also releases it from quarantine, and starts it in safe mode. */
  restart(id: string): Promise<void>
  sessions(userId?: string): SessionInfo[]
  /** Ends a session; with `userId` only if it is that user's. False if there is no such session. */
  revoke(sessionId: string, userId?: string): boolean
  contracts(): MountedContract[]
  coreContract(): CoreContract
  /** Every plugin, for the doctor. */
  patients(): Patient[]
  facts(): HostFacts
  user(): Promise<ThisUser>
  load(): HostLoad
  observe(observer: HostObserver): () => void
  /**
   * Answers GET where no plugin has a route, for anybody and before any login, with the headers it gives: nothing is added but
   * `nosniff` and `no-referrer`. One at a time. Must not throw; undefined where there is nothing.
   */
  serveApp(
    answer: (path: string, headers: Readonly<Record<string, string | string[] | undefined>>) => AppFile | undefined,
  ): () => void
}
