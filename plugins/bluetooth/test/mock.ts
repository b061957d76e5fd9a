import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'
import type { PrivateBus } from '../../../test/support/bus.ts'

/**
 * Starts python3-dbusmock's BlueZ (Debian's package) on a private bus: a BlueZ that is not ours, for what it can do. Resolves with a
 * way to call its `org.bluez.Mock`.
 */
export async function startMock(
  t: Test,
  bus: PrivateBus,
): Promise<(method: string, signature: string, ...args: unknown[]) => Promise<unknown>> {
  const { NODE_OPTIONS: _, ...env } = process.env
  const mock = spawn('/usr/bin/python3', ['-m', 'dbusmock', '--system', '--template', 'bluez5'], {
    env: { ...env, DBUS_SYSTEM_BUS_ADDRESS: bus.address },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  t.teardown(async () => {
    if (mock.exitCode !== null) return
    mock.kill()
    await once(mock, 'exit')
  })
  const client = await bus.client()
  while (!(await client.nameHasOwner('org.bluez'))) {
    if (mock.exitCode !== null) throw new Error('python3-dbusmock does not run: sudo apt-get install python3-dbusmock')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return async (method, signature, ...args) =>
    client.invoke({ destination: 'org.bluez', path: '/', interface: 'org.bluez.Mock', member: method, signature, body: args })
}
