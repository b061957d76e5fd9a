/** As much of the system bus as a restart needs; the plugin's D-Bus capability fits. */
export interface Bus {
  call(request: {
    service: string
    path: string
    interface: string
    method: string
    signature?: string
    args?: readonly unknown[]
    timeoutMs?: number
  }): Promise<unknown[]>
}

/** What can be done to the machine as a whole. */
export type PowerAction = 'reboot' | 'shutdown'

/**
 * Whether this user can do it, and if not, why: for lack of means, because a program holds it back just now, or for lack of
 * permission.
 */
export type Verdict = { can: 'yes' } | { can: 'unavailable' | 'inhibited' | 'forbidden'; reason: string }

/** Something that was looked for, as it was found. */
export interface PowerFinding {
  readonly kind: 'logind'
  readonly name: string
  readonly ok: boolean
  readonly optional: true
  readonly sentence: string
  /** A command that mends it, or tells more. */
  readonly mend?: string
}

const logind = { service: 'org.freedesktop.login1', path: '/org/freedesktop/login1', interface: 'org.freedesktop.login1.Manager' }
const actions = {
  reboot: { ask: 'CanReboot', order: 'Reboot', verb: 'restart', done: 'restarted', polkit: 'reboot' },
  shutdown: { ask: 'CanPowerOff', order: 'PowerOff', verb: 'shut down', done: 'shut down', polkit: 'power-off' },
} as const

/** Asks systemd-logind. Does not reject. */
export async function canPower(bus: Bus, action: PowerAction): Promise<Verdict> {
  const { ask, verb, done, polkit } = actions[action]
  let answer: unknown
  try {
    ;[answer] = await bus.call({ ...logind, method: ask, timeoutMs: 3000 })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { can: 'unavailable', reason: `systemd-logind cannot be asked to ${verb} this machine: ${reason}` }
  }
  if (answer === 'yes') return { can: 'yes' }
  if (answer === 'na') return { can: 'unavailable', reason: `systemd-logind says that this machine cannot be ${done}.` }
  if (String(answer).includes('inhibit')) {
    const reason = `A program does not let this machine ${verb} just now; "systemd-inhibit --list" on the machine names it.`
    return { can: 'inhibited', reason }
  }
  return {
    can: 'forbidden',
    reason:
      `The user that Patchbay runs as may not ${verb} this machine. A polkit rule must allow it the actions ` +
      `org.freedesktop.login1.${polkit} and org.freedesktop.login1.${polkit}-multiple-sessions.`,
  }
}

/** Does it. Rejects with what systemd-logind says if it does not. */
export async function power(bus: Bus, action: PowerAction): Promise<void> {
  // false: there is nobody at the machine whom polkit could ask for a password.
  await bus.call({ ...logind, method: actions[action].order, signature: 'b', args: [false], timeoutMs: 10_000 })
}

/** What systemd-logind would say to each. A missing permission is left out: asking polkit itself tells more. Does not reject. */
export async function findPower(bus: Bus): Promise<PowerFinding[]> {
  const findings = (['reboot', 'shutdown'] as const).map(async (action): Promise<PowerFinding[]> => {
    const { ask: name, verb } = actions[action]
    const finding = { kind: 'logind', name, optional: true } as const
    const verdict = await canPower(bus, action)
    if (verdict.can === 'yes') return [{ ...finding, ok: true, sentence: `systemd-logind can ${verb} this machine.` }]
    if (verdict.can === 'forbidden') return []
    const mend = verdict.can === 'inhibited' ? 'systemd-inhibit --list' : 'systemctl status dbus systemd-logind'
    return [{ ...finding, ok: false, sentence: verdict.reason, mend }]
  })
  return (await Promise.all(findings)).flat()
}
