import { explain, Failure, isDone } from './failure.ts'

/** A call to BlueZ on the system bus. Rejects with an Error that has a `dbusName`. */
export type Call = (request: {
  readonly path: string
  readonly interface: string
  readonly method: string
  readonly signature?: string
  readonly args?: readonly unknown[]
  readonly timeoutMs?: number
}) => Promise<unknown[]>

/** What the driver asks of BlueZ. Everything rejects with a `Failure`. */
export class Bluez {
  readonly #call: Call

  constructor(call: Call) {
    this.#call = call
  }

  /** Makes our agent the one that BlueZ asks. Again does no harm. */
  async register(agent: { readonly path: string; readonly capability: string }): Promise<void> {
    const about = { path: '/org/bluez', interface: 'org.bluez.AgentManager1' }
    await this.#ask({ ...about, method: 'RegisterAgent', signature: 'os', args: [agent.path, agent.capability] })
    await this.#ask({ ...about, method: 'RequestDefaultAgent', signature: 'o', args: [agent.path] })
  }

  async unregister(agent: { readonly path: string }): Promise<void> {
    const about = { path: '/org/bluez', interface: 'org.bluez.AgentManager1', timeoutMs: 2000 }
    await this.#ask({ ...about, method: 'UnregisterAgent', signature: 'o', args: [agent.path] })
  }

  async adapter(path: string, method: 'StartDiscovery' | 'StopDiscovery'): Promise<void> {
    await this.#ask({ path, interface: 'org.bluez.Adapter1', method })
  }

  async remove(adapter: string, device: string): Promise<void> {
    await this.#ask({ path: adapter, interface: 'org.bluez.Adapter1', method: 'RemoveDevice', signature: 'o', args: [device] })
  }

  /** What is so already is a success. */
  async device(path: string, method: 'Pair' | 'CancelPairing' | 'Connect' | 'Disconnect', timeoutMs = 5000): Promise<void> {
    await this.#ask({ path, interface: 'org.bluez.Device1', method, timeoutMs })
  }

  async set(path: string, property: string, value: boolean): Promise<void> {
    const on = property in { Powered: 0, Discoverable: 0 } ? 'org.bluez.Adapter1' : 'org.bluez.Device1'
    const args = [on, property, ['b', value]]
    await this.#ask({ path, interface: 'org.freedesktop.DBus.Properties', method: 'Set', signature: 'ssv', args })
  }

  async #ask(request: Parameters<Call>[0]): Promise<void> {
    try {
      await this.#call(request)
    } catch (error) {
      if (isDone(error)) return
      const failure = explain(error)
      const isAdapterGone =
        failure.code === 'BT_DEVICE_NOT_FOUND' && !request.path.includes('/dev_') && request.method !== 'RemoveDevice'
      throw isAdapterGone ? new Failure('BT_NO_ADAPTER', undefined, error) : failure
    }
  }
}
