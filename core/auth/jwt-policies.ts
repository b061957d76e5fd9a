import type { Config } from '../config/config.ts'
import { JwtPolicy, type JwtPolicyParts } from './jwt-policy.ts'

/** The policies of those plugins that go by tokens, each with keys of its own. */
export class JwtPolicies {
  readonly #parts: Omit<JwtPolicyParts, 'id' | 'config'> & { readonly config: Config }
  readonly #policies = new Map<string, JwtPolicy>()

  constructor(parts: Omit<JwtPolicyParts, 'id' | 'config'> & { readonly config: Config }) {
    this.#parts = parts
    parts.config.onChange((change) => {
      if (change === 'plugins') for (const policy of this.#policies.values()) policy.review()
    })
  }

  of(id: string): JwtPolicy {
    const { config, ...parts } = this.#parts
    const auth = () => config.plugins.plugins[id]?.auth ?? {}
    const policy = this.#policies.get(id) ?? new JwtPolicy({ ...parts, id, config: auth })
    this.#policies.set(id, policy)
    return policy
  }
}
