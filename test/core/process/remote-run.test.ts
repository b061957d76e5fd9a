import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { temporary } from '../lifecycle/lab.ts'
import { startWith } from './package.ts'

const text = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'], additionalProperties: false }
const contract: Contract = {
  id: 'own',
  commands: { 'own:say': { payload: text, role: 'viewer' }, 'own:pid': { role: 'viewer' } },
  events: {
    'own:said': { payload: { type: 'string' }, retained: true },
    'own:tick': { payload: { type: 'integer' } },
  },
}
const body = `
  ctx.publish('own:said', 'nothing yet')
  ctx.handle('own:pid', () => ({ pid: process.pid }))
  ctx.handle('own:say', ({ text }) => { ctx.publish('own:said', text); return { text } })
  ctx.whileSubscribed((watch) => {
    const timer = setInterval(() => watch.publish('own:tick', 1), 5)
    return () => clearInterval(timer)
  })`

void t.test(
  'a plugin in a process of its own serves its clients, and after kill -9 it is back without their doing',
  async (t) => {
    const host = await startWith(t, contract, body)
    await host.reached('own', 'running')
    const client = await host.client('viewer')
    const snapshot = client.next('own:said')
    await client.ask('module:subscribe', { module: 'own' })
    t.equal(await snapshot, 'nothing yet')
    const { pid } = await client.ask('own:pid')
    t.not(pid, process.pid)
    const heard: string[] = []
    client.socket.on('own:said', () => heard.push('event'))
    const answered = client.ask('own:say', { text: 'hello' }).then((answer) => {
      heard.push('ack')
      return answer
    })
    t.same(await answered, { success: true, text: 'hello' })
    t.same(heard, ['event', 'ack'])
    t.match(await client.ask('own:say', { text: 1 }), { success: false, code: 'INVALID_PAYLOAD', error: /text must be string/ })
    await client.next('own:tick')

    process.kill(pid as number, 'SIGKILL')
    t.match(await host.reached('own', 'failed', 'running'), {})
    await client.next('own:tick')
    const { pid: next } = await client.ask('own:pid')
    t.not(next, pid)
  },
)

for (const [what, said, reason] of [
  ['means nothing', '["dance",1]', 'Its process was ended: it said "dance", which means nothing.'],
  ['is no message', 'hello', 'Its process was ended: a line is no message.'],
  ['is not declared', '["publish","","own:never",null,1]', /^Its process was ended: /],
  ['is no list', '["provide",{}]', /^Its process was ended: /],
] as const)
  void t.test(`a process is ended when what it says ${what}`, async (t) => {
    const file = join(await temporary(t), 'liar.js')
    await writeFile(file, `require('fs').writeSync(3, ${JSON.stringify(`${said}\n`)}); setInterval(() => {}, 1000)`)
    const host = await startWith(t, contract, body, { child: { file }, pace: { retryMs: 60_000 } })
    t.match(await host.reached('own', 'failed'), { reason })
  })

void t.test(
  'a plugin in a process of its own hears of users from whom something comes in, and where commands arrive',
  async (t) => {
    const contract: Contract = {
      id: 'ear',
      commands: { 'ear:where': { role: 'viewer' } },
      events: { 'ear:heard': { payload: { type: 'string' } } },
    }
    const host = await startWith(
      t,
      contract,
      `ctx.onHeard((userId) => ctx.publish('ear:heard', userId))
    ctx.handle('ear:where', (_, { caller: { localAddress } }) => ({ localAddress }))`,
    )
    await host.reached('ear', 'running')
    const client = await host.client('viewer', 4711)
    await client.ask('module:subscribe', { module: 'ear' })
    const heard = client.next('ear:heard')
    t.match(await client.ask('ear:where'), { localAddress: '127.0.0.1' })
    const other = host.client('viewer', 4712)
    t.match(await heard, /^telegram:471[12]$/)
    await other
  },
)

void t.test('a plugin in a process of its own is woken by who is heard only while it listens', async (t) => {
  const contract: Contract = { id: 'ear', commands: { 'ear:listen': {}, 'ear:leave': {}, 'ear:told': {} } }
  const host = await startWith(
    t,
    contract,
    `let release, told = 0
    const { parse } = JSON
    JSON.parse = (text, ...more) => {
      if (String(text).startsWith('["heard"')) told++
      return parse(text, ...more)
    }
    ctx.handle('ear:listen', () => { release = ctx.onHeard(() => {}) })
    ctx.handle('ear:leave', () => release())
    ctx.handle('ear:told', () => ({ told }))`,
  )
  await host.reached('ear', 'running')
  // each a user of its own: of one it is told once a second at most
  const client = async () => host.client('owner')
  const told = async () => (await (await client()).ask('ear:told'))['told']
  t.equal(await told(), 0)
  await (await client()).ask('ear:listen')
  const listening = Number(await told())
  t.ok(listening > 0)
  await (await client()).ask('ear:leave')
  const after = Number(await told())
  t.equal(await told(), after, 'and no more')
})
