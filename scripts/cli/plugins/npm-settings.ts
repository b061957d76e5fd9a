import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { hostOf } from './gate.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Which registry, how to log in there, and whom to trust with it. No program, no path to write to, no script. */
const heeded =
  /^((@[\w.~-]+:)?registry|ca(\[\])?|cafile|cert|key|certfile|keyfile|strict-ssl|\/\/[^\s=]+:(_auth(Token)?|username|_password|email|certfile|keyfile))$/
const proxies = ['https-proxy', 'proxy', 'noproxy']
const defaultRegistry = 'https://registry.npmjs.org/'

/** What of this machine's and this user's settings of npm counts here. */
export interface NpmSettings {
  /** An .npmrc. */
  readonly text: string
  readonly registries: ReadonlySet<string>
  proxyFor(host: string): URL | undefined
  /** What the lines refer to with `${NAME}`, and authorities that Node.js is to trust. */
  readonly env: Readonly<Record<string, string>>
}

/** Reads them as npm does: the machine's, the user's, the environment's; what comes later wins. */
export async function readNpmSettings(env: Environment = process.env): Promise<NpmSettings> {
  const prefix = dirname(dirname(process.execPath))
  const places = ['/etc/npmrc', join(prefix, 'etc/npmrc'), env.npm_config_userconfig || join(env.HOME || homedir(), '.npmrc')]
  const texts = await Promise.all(places.map((path) => readFile(path, 'utf8').catch(() => '')))
  const said = Object.entries(env).flatMap(([name, value]) => {
    const [, key = ''] = /^npm_config_(.+)$/i.exec(name) ?? []
    return key && value ? [`${key.replaceAll('_', '-').toLowerCase()}=${JSON.stringify(value)}`] : []
  })
  const lines = [...texts.flatMap((text) => text.split(/\r?\n/)), ...said]
    .map((line) => line.trim())
    .filter((line) => !/^[;#[]/.test(line))
  const pairs = lines.flatMap((line): Array<readonly [string, string]> => {
    const at = line.indexOf('=')
    return at > 0 ? [[line.slice(0, at).trim(), line.slice(at + 1).trim()]] : []
  })
  const kept = pairs.filter(([key]) => heeded.test(key))
  const named = [...kept.filter(([key]) => key.endsWith('registry')).map(([, value]) => filled(value, env)), defaultRegistry]
  const mentioned = kept.flatMap(([, value]) => [...value.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => name))
  const wanted = [...mentioned, 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR']
  return {
    text: kept.map(([key, value]) => `${key}=${value}\n`).join(''),
    registries: new Set(named.filter((url) => URL.canParse(url)).map((url) => hostOf(new URL(url)))),
    proxyFor: proxyRule(pairs, env),
    env: Object.fromEntries(wanted.flatMap((name) => (env[name] ? [[name, env[name] as string]] : []))),
  }
}

function proxyRule(pairs: ReadonlyArray<readonly [string, string]>, env: Environment): NpmSettings['proxyFor'] {
  const [secure, plain, none] = proxies.map((name) => filled(pairs.findLast(([key]) => key === name)?.[1] ?? '', env))
  const fromEnv = (...names: string[]) => names.flatMap((name) => [env[name.toUpperCase()], env[name]]).find(Boolean)
  const address = secure || plain || fromEnv('https_proxy', 'http_proxy', 'proxy')
  const direct = (none || fromEnv('no_proxy') || '').split(/[\s,]+/).filter(Boolean)
  return (host) => {
    const name = host.replace(/:\d+$/, '')
    const isDirect = direct.some((end) => end === '*' || name === end || name.endsWith(end.startsWith('.') ? end : `.${end}`))
    return address && !isDirect && URL.canParse(address) ? new URL(address) : undefined
  }
}

const unquoted = (value: string): string => (/^".*"$/.test(value) ? value.slice(1, -1).replaceAll('\\"', '"') : value)
const filled = (value: string, env: Environment): string =>
  unquoted(value).replace(/\$\{(\w+)\}/g, (_all, name: string) => env[name] ?? '')
