import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createClient, defineInterface, type MessageBus } from 'dbus-native'
import type { Test } from 'tap'
import type { Bus } from '../driver/power.ts'

/** A message bus of its own for one test; never the machine's. Needs the program dbus-daemon (Debian package dbus-daemon). */
export async function startBus(t: Test): Promise<{ address: string; connect: () => MessageBus; stop: () => Promise<void> }> {
  const daemon = spawn('dbus-daemon', ['--session', '--nofork', '--nopidfile', '--print-address', '--address=unix:tmpdir=/tmp'])
  const exited = once(daemon, 'exit')
  const stop = async () => {
    daemon.kill()
    await exited
  }
  t.teardown(stop)
  const [address] = await once(daemon.stdout, 'data')
  const busAddress = String(address).trim()
  const connect = () => {
    const client = createClient({ busAddress, plainValues: true, variants: 'plain', returnBigInt: true })
    client.connection.on('error', () => {}) // The bus going away is what some tests are about.
    t.teardown(() => client.connection.end())
    return client
  }
  return { address: busAddress, connect, stop }
}

/** The client in the shape of the plugin's D-Bus capability. */
export function asBus(client: MessageBus): Bus {
  return {
    async call({ service, path, interface: iface, method, signature, args, timeoutMs }) {
      const message = { destination: service, path, interface: iface, member: method }
      const body = signature === undefined ? {} : { signature, body: [...(args ?? [])] }
      const reply: unknown = await client.invokeDbus(
        { ...message, ...body },
        timeoutMs === undefined ? {} : { timeout: timeoutMs },
      )
      return Array.isArray(reply) ? reply : [reply]
    },
  }
}

/** Stands in for systemd-logind: answers CanReboot and CanPowerOff as told and remembers what Reboot and PowerOff were called with. */
export async function standInLogind(client: MessageBus, answer: string, refusal?: Error): Promise<{ orders: unknown[][] }> {
  const orders: unknown[][] = []
  const can = { out: { result: 's' }, handler: () => answer }
  const order = (name: string) => ({
    in: { interactive: 'b' },
    handler: ({ interactive }: { interactive: boolean }) => {
      if (refusal) throw refusal
      orders.push([name, interactive])
    },
  })
  const methods = { CanReboot: can, CanPowerOff: can, Reboot: order('Reboot'), PowerOff: order('PowerOff') }
  await client.export('/org/freedesktop/login1', defineInterface({ name: 'org.freedesktop.login1.Manager', methods }))
  await client.requestName('org.freedesktop.login1', 0)
  return { orders }
}
