import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Contract, ContractGroup } from '../plugin/contract.ts'
import { startTestHost, type TestClient, type TestHost } from './host.ts'

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

const nonsense: readonly unknown[] = [0, -1, 'text', true, [], [1], { nonsense: 1 }, { a: { b: { c: [{}] } } }, '\u0000', 1e308, { ['__proto__x']: 1 }]

/** What every plugin must hold, in Patchbay and elsewhere. Its services must be there: a plugin that stays `unavailable` has not passed. */
export async function conformance(t: Tester, { dir, builtin = false, settings }: ConformanceOptions): Promise<void> {
  const contract = JSON.parse(await readFile(join(dir, 'contract.json'), 'utf8')) as Contract
  const { id } = contract
  const groups: ContractGroup[] = [contract, ...Object.values(contract.namespaces ?? {})]
  const commands = groups.flatMap((group) => Object.keys(group.commands ?? {}))
  const withHost = async (body: (host: TestHost, client: TestClient) => Promise<void>) => {
    const placed = builtin ? { builtins: [id] } : { plugins: [dir] }
    const host = await startTestHost({ ...placed, ...(settings && { settings: { [id]: settings } }) })
    try {
      await host.reached(id, 'running')
      await body(host, await host.client('owner'))
    } finally {
      await host.stop()
    }
  }

  await t.test(`${id}: its README names every command, event and error code`, async () => {
    const readme = await readFile(join(dir, 'README.md'), 'utf8')
    const names = [...commands, ...groups.flatMap((group) => Object.keys(group.events ?? {})), ...Object.keys(contract.errors ?? {})]
    assert.deepEqual(
      names.filter((name) => !readme.includes(`\`${name}\``)),
      [],
    )
  })

  await t.test(`${id}: its contract.json is what its code declares`, async () => {
    await withHost(async (host) => {
      const place = builtin ? dir : join(host.pluginDir, basename(dir))
      const { main = './index.js' } = JSON.parse(await readFile(join(place, 'package.json'), 'utf8')) as { main?: string }
      const { default: plugin } = (await import(pathToFileURL(join(place, main)).href)) as { default: { contract: object } }
      assert.deepEqual(JSON.parse(JSON.stringify(plugin.contract)), contract)
    })
  })

  await t.test(`${id}: starts and stops, twice, and leaves nothing behind`, async () => {
    await withHost(async (host, client) => {
      const cycle = async () => {
        await client.ask('host:disable', { id })
        await host.reached(id, 'disabled')
        const left = await settled()
        await client.ask('host:enable', { id })
        await host.reached(id, 'running')
        await client.ask('module:subscribe', { module: id })
        await client.ask('module:unsubscribe', { module: id })
        return left
      }
      await cycle()
      const before = await cycle()
      const after = await cycle()
      assert.deepEqual(after, before)
    })
  })

  await t.test(`${id}: refuses bad payloads with a coded error`, async () => {
    await withHost(async (_host, client) => {
      for (const command of commands)
        for (const payload of nonsense) {
          const { code, success } = await client.ask(command, payload)
          const expected = success === false && (code === 'INVALID_PAYLOAD' || code === 'RATE_LIMITED')
          assert.ok(expected || acceptsNothing(groups, command, payload), `${command} ${JSON.stringify(payload)}: ${String(code)}`)
        }
    })
  })

  await t.test(`${id}: a missing dependency makes it unavailable, with a reason`, async () => {
    const copy = await mkdtemp(join(tmpdir(), 'patchbay-needy-'))
    try {
      const tools = { 'patchbay-no-such-tool': { package: 'no-such-package' } }
      const needy = { id: 'needy', needs: { ...contract.needs, tools: { ...contract.needs?.tools, ...tools } } }
      await cp(dir, join(copy, 'needy'), { recursive: true })
      await writeFile(join(copy, 'needy', 'contract.json'), JSON.stringify(needy))
      const host = await startTestHost({ plugins: [join(copy, 'needy')] })
      try {
        const { reason } = await host.reached('needy', 'unavailable')
        assert.match(reason ?? '', /patchbay-no-such-tool/)
      } finally {
        await host.stop()
      }
    } finally {
      await rm(copy, { recursive: true, force: true })
    }
  })

  await t.test(`${id}: 1,000 subscribe and unsubscribe cycles end where they began`, async () => {
    await withHost(async (host, client) => {
      const client2 = await host.client('viewer')
      const cycles = async (count: number) => {
        for (let i = 0; i < count; i++) {
          const answers = await Promise.all([
            client.ask('module:subscribe', { module: id }),
            client.ask('module:unsubscribe', { module: id }),
            client2.ask('module:subscribe', { module: id }),
            client2.ask('module:unsubscribe', { module: id }),
          ])
          if (answers.some(({ code }) => code === 'RATE_LIMITED')) await new Promise((resolve) => setTimeout(resolve, 250))
        }
      }
      await cycles(10)
      const before = await settled()
      await cycles(1000)
      assert.deepEqual(await settled(), before)
      assert.equal(host.host.subscriberCount(id), 0)
    })
  })
}

/** A command without a payload takes what is nothing. */
function acceptsNothing(groups: readonly ContractGroup[], command: string, payload: unknown): boolean {
  const definition = groups.find((group) => group.commands?.[command])?.commands?.[command]
  return !definition?.payload && typeof payload === 'object' && Object.keys(payload as object).length === 0
}

/** Open handles by kind, and child processes, once they have stopped changing. */
async function settled(): Promise<object> {
  const look = async () => {
    const kinds = process.getActiveResourcesInfo().filter((kind) => !['Timeout', 'Immediate', 'TickObject', 'FSReqPromise'].includes(kind))
    const counts = Object.fromEntries([...new Set(kinds)].sort().map((kind) => [kind, kinds.filter((other) => other === kind).length]))
    const threads = await readdir('/proc/self/task')
    const children = await Promise.all(threads.map((thread) => readFile(`/proc/self/task/${thread}/children`, 'utf8').catch(() => '')))
    return { ...counts, children: children.join('').trim().split(/\s+/).filter(Boolean).length }
  }
  let last = await look()
  for (let equal = 0, i = 0; equal < 5 && i < 100; i++) {
    await new Promise((resolve) => setTimeout(resolve, 40))
    const now = await look()
    equal = JSON.stringify(now) === JSON.stringify(last) ? equal + 1 : 0
    last = now
  }
  return last
}
