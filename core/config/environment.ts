import type { Environment } from './problem.ts'

const text = (value: string) => value
const number = (value: string) => (/^\d{1,16}$/.test(value) ? Number(value) : value)

/** Which variable overrides which setting of `host.json`, and how its text is read. The schema judges what comes of it. */
const overrides: ReadonlyArray<readonly [variable: string, path: string, read: (value: string) => unknown]> = [
  ['PATCHBAY_ADDRESS', 'address', text],
  ['PATCHBAY_PORT', 'port', number],
  ['PATCHBAY_PUBLIC_URL', 'publicUrl', text],
  ['PATCHBAY_TRUSTED_PROXIES', 'trustedProxies', (value) => value.split(/[\s,]+/).filter(Boolean)],
  ['PATCHBAY_PLUGIN_DIRS', 'pluginDirs', (value) => value.split(':').filter(Boolean)],
  ['PATCHBAY_NAMESPACE', 'namespace', text],
  ['PATCHBAY_LOG_LEVEL', 'log/level', text],
  ['TELEGRAM_BOT_ID', 'telegram/botId', number],
]

/** Sets in the content of `host.json` what the environment says. */
export function override(content: object, env: Environment): void {
  for (const [variable, path, read] of overrides) {
    const value = env[variable]
    const [section = '', key] = path.split('/')
    if (value) Object.assign(content, { [section]: key ? { ...Reflect.get(content, section), [key]: read(value) } : read(value) })
  }
}

/** The variable that was used for the setting at a path, or for the list around it. */
export function variableFor([section = '', key = '']: readonly string[], env: Environment): string | undefined {
  return overrides.find(([variable, path]) => env[variable] && (path === section || path === `${section}/${key}`))?.[0]
}
