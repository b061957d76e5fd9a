import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join, resolve, sep } from 'node:path'
import type { Environment } from './problem.ts'

/**
 * Where configuration and data lie: as Patchbay's variables say, else systemd's (`ConfigurationDirectory=`,
 * `StateDirectory=`), else in the checkout that it runs from, else in the user's XDG directories. `root` is the package's directory.
 */
export function resolvePaths(env: Environment, root: string): { configDir: string; dataDir: string } {
  const checkout = existsSync(join(root, 'core')) && !root.split(sep).includes('node_modules')
  const pick = (own?: string, systemd?: string, inCheckout = '', xdg = '', fallback = '') => {
    if (own) return resolve(own)
    const first = systemd?.split(':')[0]
    if (first) return first
    if (checkout) return join(root, inCheckout)
    return join(xdg && isAbsolute(xdg) ? xdg : join(env.HOME || homedir(), fallback), 'patchbay')
  }
  return {
    configDir: pick(env.PATCHBAY_CONFIG_DIR, env.CONFIGURATION_DIRECTORY, 'config', env.XDG_CONFIG_HOME, '.config'),
    dataDir: pick(env.PATCHBAY_DATA_DIR, env.STATE_DIRECTORY, '.data', env.XDG_STATE_HOME, '.local/state'),
  }
}
