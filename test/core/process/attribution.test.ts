// What the context tells when the stack tells nothing: every way in which the host calls a plugin that runs in its process.
import { EventEmitter, once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { currentOwner, runAs, tieCapability } from '../../../core/process/attribution.ts'
import type { TestClient, TestHost } from '../../../core/testing/host.ts'
import { command, startLab } from '../wire/lab.ts'

/** What was called, with the result of blaming a text from a timer that was set there. */
class Blamed extends EventEmitter {
  host: TestHost | undefined
  readonly at = (where: string) => () => {
    setImmediate(() => this.emit(where, this.host?.host.blame('a text')))
  }
}

async function start(t: Test) {
  const blamed = new Blamed()
  const { at } = blamed
  const contract = {
    id: 'culprit',
    commands: { 'culprit:now': command(), 'culprit:later': command() },
    events: { 'culprit:value': { retained: true } },
    routes: { 'GET /': { role: 'viewer' as const } },
  }
  blamed.host = await startLab(
    t,
    [
      {
        contract,
        start(ctx) {
          ctx.handle('culprit:now', at('handler'))
          ctx.handle('culprit:later', (_, { afterAck }) => afterAck(at('afterAck')))
          ctx.provide('culprit:value', at('provider'))
          ctx.onSubscribe(at('onSubscribe'))
          ctx.whileSubscribed(() => {
            at('whileSubscribed')()
            return at('its end')
          })
          ctx.diagnose(() => {
            at('diagnose')()
            return []
          })
          ctx.serve('GET /', () => {
            at('route')()
            return { type: 'text/plain', body: '' }
          })
          ctx.own(at('release'))
        },
      },
    ],
    { pace: { retryMs: 60_000 } },
  )
  return { blamed, host: blamed.host }
}

for (const [where, call] of Object.entries({
  handler: (client) => client.ask('culprit:now'),
  afterAck: (client) => client.ask('culprit:later'),
  provider: (client) => client.ask('module:subscribe', { module: 'culprit' }),
  onSubscribe: (client) => client.ask('module:subscribe', { module: 'culprit' }),
  whileSubscribed: (client) => client.ask('module:subscribe', { module: 'culprit' }),
  diagnose: (client) => client.ask('host:doctor'),
  'its end': (client) => client.ask('module:subscribe', { module: 'culprit' }),
  route: (client, { url }) => fetch(`${url}/culprit`, { headers: { authorization: `Bearer ${client.sessionToken}` } }),
  release: (client) => client.ask('host:restart', { id: 'culprit' }),
} satisfies Record<string, (client: TestClient, host: TestHost) => unknown>))
  void t.test(`an exception that is set going in ${where} is laid at the plugin's door`, async (t) => {
    const { blamed, host } = await start(t)
    const client = await host.client('owner')
    const told = once(blamed, where)
    await call(client, host)
    t.same(await told, [true])
  })

void t.test("what a shared capability does is nobody's, what it calls back is the plugin's", async (t) => {
  const seen: Array<[string, string | undefined]> = []
  const see = (where: string) => void seen.push([where, currentOwner()])
  class Shared {
    readonly name = 'bus'
    listen = (listener: () => void, { nested }: { nested: { listener(): void } }, list: unknown[]) => {
      see('inside')
      setImmediate(listener)
      setImmediate(nested.listener)
      return list
    }
  }
  const shared = tieCapability('culprit', new Shared())
  t.equal(shared.name, 'bus')
  const list = [1]
  const nested = {
    what: 'nested',
    listener() {
      see(this.what)
    },
  }
  t.equal(
    runAs('caller', () => shared.listen(() => see('listener'), { nested }, list)),
    list,
  )
  await turn()
  await turn()
  t.same(seen, [
    ['inside', undefined],
    ['listener', 'culprit'],
    ['nested', 'culprit'],
  ])
  t.equal(currentOwner(), undefined)
})
