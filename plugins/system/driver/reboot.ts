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

/** Whether the machine can be restarted by this user, and if not, whether that is for lack of means or of permission, and why. */
export type Verdict = { can: 'yes' } | { can: 'unavailable' | 'forbidden'; reason: string }

const logind = { service: 'org.freedesktop.login1', path: '/org/freedesktop/login1', interface: 'org.freedesktop.login1.Manager' }

/** Asks systemd-logind. Does not reject. */
export async function canReboot(bus: Bus): Promise<Verdict> {
  let answer: unknown
  try {
    ;[answer] = await bus.call({ ...logind, method: 'CanReboot', timeoutMs: 3000 })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { can: 'unavailable', reason: `systemd-logind cannot be asked to restart this machine: ${reason}` }
  }
  if (answer === 'yes') return { can: 'yes' }
  if (answer === 'na') return { can: 'unavailable', reason: 'systemd-logind says that this machine cannot be restarted.' }
  if (String(answer).includes('inhibit')) {
    return {
      can: 'forbidden',
      reason: 'A program holds a restart back just now; "systemd-inhibit --list" on the machine names it.',
    }
  }
  return {
    can: 'forbidden',
    reason:
      'The user that Patchbay runs as may not restart this machine. A polkit rule must allow it the actions ' +
      'org.freedesktop.login1.reboot and org.freedesktop.login1.reboot-multiple-sessions.',
  }
}

/** Restarts the machine. Rejects with what systemd-logind says if it does not. */
export async function reboot(bus: Bus): Promise<void> {
  // false: there is nobody at the machine whom polkit could ask for a password.
  await bus.call({ ...logind, method: 'Reboot', signature: 'b', args: [false], timeoutMs: 10_000 })
}
