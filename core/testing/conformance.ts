import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { askDaemon } from '../http/control.ts'
import type { Finding } from '../plugin/capabilities.ts'
import type { Contract } from '../plugin/contract.ts'
import { loadValidator, schemaCheck } from '../wire/validate.ts'
import { copyPackage, startTestHost, type TestClient, type TestHost } from './host.ts'
import { LeakWatch } from './leaks.ts'
import { rolesIn, routePath, undeclaredCodes, unnamedInReadme } from './package-checks.ts'

/** What `conformance` needs of a test framework; tap's and node:test's `t` both have it. */
export interface Tester {
  test(name: string, body: () => Promise<void>): unknown
}

export interface ConformanceOptions {
  /** The built package: package.json, contract.json, README.md and the entry file. */
  readonly dir: string
  /** It comes with Patchbay and runs from its own directory. */
  readonly builtin?: boolean
  readonly settings?: object
}

type RunIn = 'host' | 'process'

const deep = (levels: number): unknown => (levels === 0 ? 0 : { a: deep(levels - 1) })
/** Too deep, and no JSON: they fit no command. */
const unfit: readonly unknown[] = [deep(20), Buffer.from('binary')]
const nonsense: readonly unknown[] = [
  0,
  -1.5,
  'text',
  '',
  true,
  [1],
  [[]],
  { nonsense: 1 },
  { a: { b: [{}] } },
  { constructor: 1 },
]
/** Each may subscribe 240 times in 10 s, so together they may do it a thousand times without waiting. */
const users = 5
const cycles = 1000
/** What the host logs when a plugin says what it did not declare. */
const breach =
  /does not fit its contract|answered what its contract does not say|has no (event|command|route|error code|namespace) \\?"/

/**
 * What every plugin must hold, in Patchbay and elsewhere, as tests of `t`; on a host of their own, in this process: the plugin runs beside it, then in a process of its own. What the
 * plugin needs must be there: one that is `unavailable` has not passed. No command is given with a payload that fits it.
 */
export async function conformance(t: Tester, { dir, builtin = false, settings }: ConformanceOptions): Promise<void> {
  const contract = JSON.parse(await readFile(join(dir, 'contract.json'), 'utf8')) as Contract
  const { id, needs = {} } = contract
  /** What has the host's own controls runs beside them. */
  const ways: readonly RunIn[] = contract.capabilities?.host ? ['host'] : contract.ownProcess ? ['process'] : ['host', 'process']
  const mainCommands = Object.keys(contract.commands ?? {})
  const isHost = id === 'host'
  /** Behind tokens there is nothing to subscribe to: to connect is to. */
  const isGated = (contract.policy ?? 'patchbay') !== 'patchbay'
  const roles = isGated ? rolesIn(contract) : []
  const visitor = (host: TestHost, subject: string) => (isGated ? host.visit(id, { roles, subject }) : host.client('owner'))
  // Where the test host has its copy: in the author's own folder may lie Patchbay itself, as a package, and the tests.
  const watched = builtin ? dir : `/data/plugins/${basename(dir)}`

  const withHost = async (runIn: RunIn, body: (host: TestHost, owner: TestClient, place: string) => Promise<void>) => {
    const placed = builtin ? { builtins: [id] } : { plugins: [dir] }
    const host = await startTestHost({ ...placed, runIn, ...(settings && { settings: { [id]: settings } }) })
    try {
      const { state, reason } = await host.reached(id, 'running', 'unavailable', 'failed')
      assert.equal(state, 'running', `it is ${state}: ${reason}`)
      await body(host, await host.client('owner'), builtin ? dir : join(host.pluginDir, basename(dir)))
      const broken = host.log.find((line) => breach.test(line))
      assert.equal(broken, undefined, 'it does what its contract does not say')
    } finally {
      await host.stop()
    }
  }

  await t.test(`${id}: its README names every command, event, error code and route`, async () => {
    const readme = await readFile(join(dir, 'README.md'), 'utf8')
    assert.deepEqual(unnamedInReadme(contract, readme), [], 'not in the README, or not as `code`')
  })

  await t.test(`${id}: every error code that it hands out is declared`, async () => {
    assert.deepEqual(await undeclaredCodes(dir, contract), [], 'not in the "errors" of its contract')
  })

  await t.test(`${id}: its contract.json is what its code declares`, async () => {
    await withHost(contract.ownProcess ? 'process' : 'host', async (_host, _owner, place) => {
      const { main = './index.js' } = JSON.parse(await readFile(join(place, 'package.json'), 'utf8')) as { main?: string }
      const { default: plugin } = (await import(pathToFileURL(join(place, main)).href)) as { default: { contract: object } }
      assert.deepEqual(JSON.parse(JSON.stringify(plugin.contract)), contract)
    })
  })

  await t.test(`${id}: a missing dependency makes it unavailable, with a reason`, async () => {
    const copy = await mkdtemp(join(tmpdir(), 'patchbay-needy-'))
    try {
      const services = Array.isArray(needs.dbus)
        ? needs.dbus
        : Object.entries(needs.dbus ?? {}).flatMap(([name, { optional }]) => (optional ? [] : [name]))
      // Capabilities are left out: that of the host is not for copies. No code of it runs.
      const tools = { ...needs.tools, 'patchbay-no-such-tool': { package: 'no-such-package' } }
      await copyPackage(dir, join(copy, 'needy'))
      await writeFile(join(copy, 'needy', 'contract.json'), JSON.stringify({ id: 'needy', needs: { ...needs, tools } }))
      const plugins = [...(builtin ? [] : [dir]), join(copy, 'needy')]
      const builtins = builtin ? [id] : []
      const host = await startTestHost({ builtins, plugins, busAddress: 'unix:path=/nonexistent/bus' })
      try {
        const { reason = '' } = await host.reached('needy', 'unavailable')
        for (const name of ['patchbay-no-such-tool', ...services]) assert.ok(reason.includes(name), reason)
        const itself = await host.reached(id, 'running', 'unavailable', 'failed')
        assert.notEqual(itself.state, 'failed', `without a system bus it fails: ${itself.reason}`)
      } finally {
        await host.stop()
      }
    } finally {
      await rm(copy, { recursive: true, force: true })
    }
  })

  for (const runIn of ways) {
    const where = runIn === 'host' ? '' : ', in a process of its own'
    await t.test(`${id}: starts and stops, twice, and leaves nothing behind${where}`, async () => {
      const watch = new LeakWatch(watched)
      try {
        await withHost(runIn, async (host, owner) => {
          const off = async () => {
            if (isHost) return
            assert.equal((await owner.ask('host:disable', { id })).state, 'disabled')
          }
          const on = async () => {
            if (!isHost) assert.equal((await owner.ask('host:enable', { id })).state, 'running')
            if (isGated) return void (await visitor(host, 'alice')).socket.close()
            await owner.ask('module:subscribe', { module: id })
            await owner.ask('module:unsubscribe', { module: id })
          }
          await on()
          await off()
          const first = await watch.holdings()
          await on()
          await off()
          assert.deepEqual(await watch.holdings(), first, 'the second start and stop left more open than the first')
          if (!isHost) assert.deepEqual(first.opened, {}, 'open although it has stopped')
          assert.doesNotMatch(host.log.join(''), /a release failed|could not stop/)
        })
      } finally {
        watch.stop()
      }
    })

    await t.test(`${id}: refuses bad payloads with a coded error${where}`, async () => {
      await loadValidator()
      await withHost(runIn, async (host) => {
        for (const name of mainCommands) {
          const takes = schemaCheck(contract.commands?.[name]?.payload)
          assert.ok(nonsense.some(takes), `${name} takes anything; say in its contract what its payload is`)
        }
        for (const [nth, payload] of [...nonsense, ...unfit].entries()) {
          // Another user for each: the strictest rate lets everybody do everything once.
          const client = await visitor(host, `user${nth}`)
          for (const name of mainCommands) {
            const misfits = schemaCheck(contract.commands?.[name]?.payload)(payload) !== undefined
            if (!misfits && !unfit.includes(payload)) continue
            const { success, code, error } = await client.ask(name, payload)
            assert.deepEqual(
              { success, code },
              { success: false, code: 'INVALID_PAYLOAD' },
              `${name}: ${error ?? 'it was taken'}`,
            )
          }
        }
      })
    })

    await t.test(`${id}: answers its HTTP routes, and only those who may ask${where}`, async () => {
      const routes = Object.keys(contract.routes ?? {})
      if (routes.length === 0) return
      await withHost(runIn, async (host, owner) => {
        const token = isGated ? await host.token(id, roles) : owner.sessionToken
        for (const route of routes) {
          const url = new URL(routePath(id, route).replaceAll(/:[\w.-]+/g, 'none'), host.url)
          const method = route.slice(0, route.indexOf(' '))
          // What changes something is not asked by somebody who may.
          if (method === 'GET') {
            const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
            assert.ok(answer.status < 500, `${route} is answered ${answer.status}: ${await answer.text()}`)
            if (!route.includes(':')) assert.notEqual(answer.status, 404, `${route} is not found`)
          }
          if (contract.routes?.[route]?.anonymous) continue
          const stranger = await fetch(url, { method })
          await stranger.body?.cancel()
          assert.equal(stranger.status, 401, `${route} answers a stranger ${stranger.status}`)
        }
      })
    })

    await t.test(`${id}: what it finds is told in a sentence, and how to mend it in one line${where}`, async () => {
      await withHost(runIn, async (host) => {
        await host.reached('host', 'running')
        const { plugins = [] } = (await askDaemon(host.dataDir, { command: 'doctor' })) as {
          plugins?: ReadonlyArray<{ id: string; findings: readonly Finding[] }>
        }
        const examined = plugins.find((plugin) => plugin.id === id)
        assert.ok(examined, 'it was not examined')
        for (const { kind, name, ok, sentence, mend } of examined.findings) {
          assert.match(sentence, /^.+[.!?]$/s, `${kind} ${name}: "${sentence}" is no sentence`)
          assert.match(mend ?? '', /^[^\n]*$/, `${kind} ${name}: the command to paste has more than one line`)
          // No command plugs a device in.
          assert.ok(ok || mend || kind === 'device', `${kind} ${name}: no command mends it`)
        }
      })
    })

    await t.test(`${id}: ${cycles} subscribe and unsubscribe cycles end where they began${where}`, async () => {
      const watch = new LeakWatch(watched)
      try {
        await withHost(runIn, async (host) => {
          if (isGated) {
            const visit = async () => void (await visitor(host, 'alice')).socket.close()
            for (let i = 0; i < users; i++) await visit()
            const before = await watch.holdings()
            for (let i = 0; i < cycles / 10; i++) await visit()
            return assert.deepEqual(await watch.holdings(), before)
          }
          const clients: TestClient[] = []
          for (let i = 0; i < users; i++) clients.push(await host.client('owner'))
          const cycle = async (client: TestClient) => {
            const answers = [client.ask('module:subscribe', { module: id }), client.ask('module:unsubscribe', { module: id })]
            for (const { success, error } of await Promise.all(answers)) assert.ok(success, error)
          }
          for (const client of clients) await cycle(client)
          const before = await watch.holdings()
          for (let i = clients.length; i < cycles; i++) await cycle(clients[i % users] as TestClient)
          assert.deepEqual(await watch.holdings(), before)
          assert.equal(host.host.subscriberCount(id), 0)
        })
      } finally {
        watch.stop()
      }
    })
  }
}
