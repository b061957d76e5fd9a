import type { CoreContract } from '../plugin/host-control.ts'
import data from './core-contract.json' with { type: 'json' }
import { coreErrors } from './errors.ts'

/** What the core itself says to clients: what the commands in subscriptions.ts take, and what is published about them. Data, as a plugin's. */
export const coreContract = { ...data, errors: coreErrors } as CoreContract
