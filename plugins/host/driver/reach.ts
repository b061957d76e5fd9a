import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Finding } from '../../../core/plugin/capabilities.ts'
import type { HostFacts } from '../../../core/plugin/host-control.ts'

const askMs = 5000
const maxTold = 3

/** Whether the world's way to this daemon leads to it: asks `/healthz` at `publicUrl` and compares the id of this start. */
export async function checkReach(
  { publicUrl, tls }: Pick<NonNullable<HostFacts['config']>, 'publicUrl' | 'tls'>,
  commandName: string,
  running: { readonly instance: string } | undefined,
): Promise<Finding[]> {
  const finding = { kind: 'reach', name: publicUrl ?? 'publicUrl', optional: false }
  const set = `${commandName} config set publicUrl https://YOUR_ADDRESS`
  if (publicUrl === undefined) {
    const sentence = 'No publicUrl is set: Telegram and other networks have no way here.'
    return [{ ...finding, ok: false, optional: true, sentence, mend: set }]
  }
  if (!publicUrl.startsWith('https:')) {
    const sentence = `The publicUrl ${publicUrl} is not https: Telegram opens nothing else.`
    return [{ ...finding, ok: false, optional: true, sentence, mend: set }]
  }
  if (!running)
    return [
      { ...finding, ok: true, sentence: `The publicUrl is ${publicUrl}; whether it leads here shows when the daemon runs.` },
    ]
  try {
    const { instance, distrust } = await ask(publicUrl)
    if (instance !== running.instance) {
      const who =
        instance === undefined ? 'something that is not Patchbay' : 'another Patchbay, or this one before its last start'
      return [{ ...finding, ok: false, sentence: `At ${publicUrl} ${who} answers.`, mend: set }]
    }
    if (!distrust) return [{ ...finding, ok: true, sentence: `${publicUrl} leads here.` }]
    // Our own listener's, such as one by an authority of this machine: then that is what was wanted.
    if (tls) {
      const sentence = `${publicUrl} leads here. Its certificate is one that only who was told to trusts (${distrust}); Telegram does not.`
      return [{ ...finding, ok: true, sentence }]
    }
    const sentence = `${publicUrl} leads here, with a certificate that this machine does not trust (${distrust}), and Telegram neither.`
    return [{ ...finding, ok: false, optional: true, sentence, mend: set }]
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'ABORT_ERR' ? `no answer within ${askMs / 1000} s` : (code ?? message)
    const sentence = `${publicUrl} does not lead here from this machine (${why}). Does the tunnel run, is its address a new one?`
    return [{ ...finding, ok: false, sentence, mend: set }]
  }
}

/** What answers there. A certificate that is not trusted is told, not refused: at home it may be one's own, and nothing secret is sent. */
async function ask(publicUrl: string): Promise<{ instance: string | undefined; distrust: string | undefined }> {
  const { get } = await import('node:https')
  return new Promise((resolve, reject) => {
    const options = { rejectUnauthorized: false, agent: false, signal: AbortSignal.timeout(askMs) } as const
    const answered = (response: IncomingMessage) => {
      const { authorized, authorizationError } = response.socket as TLSSocket
      const { 'x-patchbay-instance': instance } = response.headers
      resolve({ instance: instance?.toString(), distrust: authorized ? undefined : String(authorizationError) })
      response.destroy()
    }
    get(new URL('/healthz', publicUrl), options, answered).on('error', reject)
  })
}

/**
 * The names that requests came for in vain, the latest first. One of them may be a tunnel's new address, and one may be anybody's who wants it
 * to be taken for that: who reads it decides. Only a plain name gets into a command.
 */
export function refusedHosts(running: HostFacts['running'], commandName: string): Finding[] {
  const latest = [...(running?.refusedHosts ?? [])].filter(([name]) => /^[\w.-]+$/.test(name) && isIP(name) === 0).reverse()
  return latest.slice(0, maxTold).map(([name, { count, at }]) => {
    const times = `${count} ${count === 1 ? 'request' : 'requests'}, the last at ${new Date(at).toISOString().slice(0, 19)}Z`
    const sentence =
      `Requests arrive for the name "${name}", which host.json does not name (${times}). ` +
      "If this is your tunnel's new address, set publicUrl."
    const isPlain = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/.test(name)
    const mend = isPlain && { mend: `${commandName} config set publicUrl https://${name}` }
    return { kind: 'host-name', name, ok: false, optional: true, sentence, ...mend }
  })
}
