import type { Test } from 'tap'
import { startTestHost, type TestClient } from '../../core/testing/host.ts'

/** A module on its simulated hardware, on a machine that has nothing of what it needs, and an owner who is subscribed. */
export class Simulated {
  readonly client: TestClient
  readonly #latest = new Map<string, unknown>()

  private constructor(client: TestClient, events: readonly string[]) {
    this.client = client
    for (const event of events) client.socket.on(event, (value: unknown) => void this.#latest.set(event, value))
  }

  /** Also holds that it says what it is, wherever its state is told. */
  static async start(t: Test, id: string, ...events: string[]): Promise<Simulated> {
    const settings = { [id]: { simulated: true } }
    const host = await startTestHost({ builtins: [id], busAddress: 'unix:path=/nonexistent/bus', settings })
    t.teardown(() => host.stop())
    t.match(await host.reached(id, 'running', 'unavailable', 'failed'), {
      state: 'running',
      simulated: true,
      reason: /^SIMULATED/,
    })
    t.ok(
      host.log.some((line) => line.includes(`"plugin":"${id}"`) && line.includes('SIMULATED')),
      'and the log',
    )
    const simulated = new Simulated(await host.client('owner'), events)
    const subscribed = await simulated.client.ask('module:subscribe', { module: id })
    t.match(subscribed, { success: true, state: 'running', reason: /^SIMULATED/ })
    return simulated
  }

  /** What was heard last of an event. */
  latest<T>(event: string): T {
    return this.#latest.get(event) as T
  }

  /** The value of an event that fits: the last one, or one that comes. */
  async until<T>(event: string, fits: (value: T) => boolean): Promise<T> {
    const known = this.#latest.get(event)
    return known !== undefined && fits(known as T) ? (known as T) : this.client.next<T>(event, fits)
  }
}
