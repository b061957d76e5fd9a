import type { Config } from '../config/config.ts'
import { JwtPolicy, type JwtPolicyParts } from './jwt-policy.ts'
import type { SharedRevocations } from './revocations.ts'

type Parts = Omit<JwtPolicyParts, 'id' | 'config' | 'shared'> & {
  readonly config: Config
  /** By plugin, where there are several hosts. */
  readonly sharedFor: (id: string) => SharedRevocations | undefined
}

/** The policies of those plugins that go by tokens, each with keys of its own. */
export class JwtPolicies {
  readonly #parts: Parts
  readonly #policies = new Map<string, JwtPolicy>()

  constructor(parts: Parts) {
    this.#parts = parts
    parts.config.onChange((change) => {
      if (change === 'plugins') for (const policy of this.#policies.values()) policy.review()
    })
  }

  of(id: string): JwtPolicy {
    const { config, sharedFor, ...parts } = this.#parts
    const auth = () => config.plugins.plugins[id]?.auth ?? {}
    const policy = this.#policies.get(id) ?? new JwtPolicy({ ...parts, id, config: auth, shared: sharedFor(id) })
    this.#policies.set(id, policy)
    return policy
  }

  /** Another host revoked tokens of this plugin. */
  told(id: string): void {
    void this.#policies.get(id)?.told()
  }
}
