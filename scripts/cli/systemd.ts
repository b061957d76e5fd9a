import { fstatSync, writeSync } from 'node:fs'
import type { Service } from '../../core/main.ts'

type Environment = Record<string, string | undefined>
type Host = Parameters<Service['ready']>[0]

/**
 * What systemd is told while it runs the daemon, see sd_notify(3): readiness, a status line, and that the event loop turns.
 * Node.js cannot make datagram sockets of the Unix kind, so scripts/service/notify-socket connects one before it becomes this
 * process, and leaves its descriptor's number in the environment. No program is started for it: systemd need listen to nobody
 * but the daemon itself (NotifyAccess=main), and Node.js hands no descriptor but the first three on to what it starts.
 * Undefined where there is no such socket.
 */
export function systemdService(env: Environment = process.env): Service | undefined {
  const [fd, watchdogUs] = [Number(env.PATCHBAY_NOTIFY_FD), Number(env.WATCHDOG_USEC)]
  // Of no use to anything that is started here.
  for (const name of ['PATCHBAY_NOTIFY_FD', 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  if (!fd || !isSocket(fd)) return undefined
  return createService((text) => send(fd, text), watchdogUs / 1000)
}

/** `watchdogMs` is the longest silence that is taken for life; 0 or NaN for none. `tell` is false if nobody could be told. */
function createService(tell: (text: string) => boolean, watchdogMs: number): Service {
  let told = ''
  const tellStatus = (host: Host) => {
    const status = describe(host)
    if (status !== told && tell(`STATUS=${status}`)) told = status
  }
  return {
    ready(host) {
      tell('READY=1')
      tellStatus(host)
      host.onStatus(() => tellStatus(host))
      if (!(watchdogMs > 0)) return
      // On the main event loop: that it turns is the point. A third, so that two may be lost.
      const turn = () => {
        tell('WATCHDOG=1')
        tellStatus(host)
      }
      setInterval(turn, watchdogMs / 3).unref()
    },
    stopping: () => void tell('STOPPING=1\nSTATUS=is stopping'),
  }
}

const verbs = { failed: 'has failed', quarantined: 'is quarantined' } as const

/** Such as `3 of 4 plugins run; wifi is unavailable`. What is disabled does not count. */
function describe(host: Host): string {
  const plugins = host.status().filter(({ state }) => state !== 'disabled')
  const others = plugins.filter(({ state }) => state !== 'running')
  const words = others.map(({ id, state }) => `${id} ${state in verbs ? verbs[state as keyof typeof verbs] : `is ${state}`}`)
  return [`${plugins.length - others.length} of ${plugins.length} plugins run`, ...words].join('; ').slice(0, 500)
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false // the number of nothing: the environment was handed on by something else
  }
}

/** The socket does not block: where systemd is too busy to read, the text is lost and the next one counts. */
function send(fd: number, text: string): boolean {
  try {
    writeSync(fd, text)
    return true
  } catch {
    return false
  }
}
