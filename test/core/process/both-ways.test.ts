import t, { type Test } from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { type Heard, hear, until } from '../wire/lab.ts'
import { sourceChild, startWith } from './package.ts'

const integer = { type: 'integer' }
const text = { type: 'string' }
const object = (properties: object) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
})
const viewer = { role: 'viewer' } as const
const contract = {
  id: 'both',
  commands: {
    'both:say': { ...viewer, payload: object({ text }), result: object({ text }) },
    'both:later': viewer,
    'both:misfit': { ...viewer, result: object({ text }) },
    'both:text': viewer,
    'both:cycle': viewer,
    'both:throw': viewer,
    'both:throw-text': viewer,
    'both:coded': viewer,
    'both:undeclared': viewer,
    'both:forbidden': viewer,
    'both:unreadable': viewer,
    'both:after': viewer,
    'both:forever': { ...viewer, timeoutMs: 100 },
    'both:patient': { ...viewer, timeoutMs: 100 },
    'both:who': viewer,
    'both:roles': { ...viewer, timeoutMs: 5000 },
    'both:address': viewer,
    'both:publish-misfit': viewer,
    'both:forget': viewer,
    'both:left': viewer,
  },
  events: {
    'both:kept': { payload: text, retained: true },
    'both:made': { payload: integer, retained: true },
    'both:broken': { payload: integer, retained: true },
    'both:watched': { payload: text, retained: true },
    'both:heard': { payload: text },
    'both:bare': {},
    'both:all': { payload: text, to: 'connected' },
    'both:note': { payload: text, to: 'addressed' },
  },
  namespaces: { side: { commands: { 'both:aside': viewer }, events: { 'both:beside': { payload: text, retained: true } } } },
  errors: { BOTH_LOST: 'It is lost.' },
  routes: { 'GET /text': viewer, 'GET /bytes': viewer, 'GET /broken': viewer, 'GET /unready': viewer },
  settings: object({ everyS: { ...integer, default: 5 } }),
} as const

const body = `
  const none = () => undefined
  let made = 0
  ctx.publish('both:kept', 'settings ' + JSON.stringify(ctx.settings))
  ctx.log.info({ deep: { a: [1, { b: 'c' }] } }, 'a line of its own')
  ctx.log.error(new TypeError('an error of its own'))
  ctx.handle('both:say', ({ text }) => { ctx.publish('both:kept', text); return { text } })
  ctx.handle('both:later', async () => { await new Promise(setImmediate); ctx.publish('both:heard', 'later'); return { when: 'later' } })
  ctx.handle('both:misfit', () => ({ text: 1 }))
  ctx.handle('both:text', () => 'a text')
  ctx.handle('both:cycle', () => { const it = {}; it.it = it; return it })
  ctx.handle('both:throw', () => { throw new Error('a secret') })
  ctx.handle('both:throw-text', () => { throw 'a text' })
  ctx.handle('both:coded', async () => { throw ctx.error('BOTH_LOST', undefined, { details: { where: 'sofa' }, retryAfter: 3 }) })
  ctx.handle('both:undeclared', () => { throw Object.assign(new Error('no'), { code: 'BOTH_FOUND' }) })
  ctx.handle('both:forbidden', () => { throw ctx.error('FORBIDDEN', 'Not you.') })
  ctx.handle('both:unreadable', () => { throw new Proxy({}, { get() { throw new Error('trap') } }) })
  ctx.handle('both:after', (_, call) => {
    call.afterAck(() => ctx.publish('both:heard', 'after the ack'))
    call.afterAck(() => { throw new Error('too late to matter') })
    ctx.publish('both:heard', 'before the ack')
    return { done: true }
  })
  ctx.handle('both:forever', (_, call) => {
    call.signal.addEventListener('abort', () => ctx.publish('both:heard', 'aborted: ' + call.signal.reason.code))
    return new Promise(none)
  })
  ctx.handle('both:patient', async (_, call) => {
    const resume = call.suspendDeadline(5000)
    await new Promise((resolve) => setTimeout(resolve, 200))
    resume()
    return { waited: true }
  })
  ctx.handle('both:who', (_, { caller }) => ({ caller }))
  ctx.handle('both:roles', (_, call) => new Promise((resolve) => {
    const timer = setInterval(() => {
      if (call.caller.roles.includes('viewer')) return
      clearInterval(timer)
      resolve({ roles: call.caller.roles })
    }, 5)
  }))
  ctx.handle('both:address', (_, { caller }) => {
    ctx.send({ client: caller.clientId }, 'both:note', 'client')
    ctx.send({ user: caller.userId }, 'both:note', 'user')
    ctx.publish('both:all', 'all')
    ctx.publish('both:bare')
  })
  ctx.handle('both:publish-misfit', () => ctx.publish('both:heard', 1))
  ctx.handle('both:forget', () => { ctx.publish('both:kept', 'soon forgotten'); ctx.forget('both:kept') })
  ctx.handle('both:left', () => { ctx.publishError('BOTH_LOST', 'Under the sofa.', { where: 'sofa' }) })
  ctx.namespace('side').handle('both:aside', () => { ctx.namespace('side').publish('both:beside', 'aside'); return { aside: true } })
  ctx.provide('both:made', async () => ++made)
  ctx.provide('both:broken', () => { throw ctx.error('BOTH_LOST') })
  ctx.whileSubscribed((watch) => {
    watch.publish('both:watched', 'somebody is there')
    return () => ctx.publish('both:kept', 'nobody is there')
  })
  ctx.onSubscribe(() => ctx.publish('both:heard', 'a subscriber'))
  ctx.onDisconnect((id) => ctx.publish('both:kept', 'gone: ' + typeof id))
  ctx.serve('GET /text', ({ path, query, caller }) => ({ status: 201, type: 'text/plain', body: JSON.stringify([path, query, caller.userId, caller.roles]) }))
  ctx.serve('GET /bytes', () => ({ type: 'application/octet-stream', body: new Uint8Array([0, 255, 10]) }))
  ctx.serve('GET /broken', () => { throw new Error('no page') })
  ctx.serve('GET /unready', () => undefined)
  ctx.diagnose(() => [{ kind: 'lamp', name: 'bulb', ok: false, optional: true, sentence: 'The bulb is dark.', mend: 'sudo light' }])
  ctx.diagnose(() => { throw new Error('no bus') })
`

/** All that clients and owners come to see of the plugin. */
async function transcript(t: Test, runIn: 'host' | 'process'): Promise<Heard> {
  const child = runIn === 'process' ? { child: sourceChild } : {}
  const host = await startWith(t, contract as unknown as Contract, body, { runIn, ...child })
  const { state, reason } = await host.reached('both', 'running', 'failed')
  t.equal(state, 'running', reason ?? '')
  const client = await host.client('viewer')
  const heard = hear(client)
  const acks: Heard[] = []
  const ask = async (command: string, payload?: unknown) => {
    const answer = await client.ask(command, payload)
    acks.push([command, answer])
    heard.push(['ack', command])
    return answer
  }
  const heardOf = (event: string, value: unknown) => () =>
    heard.some(([name, payload]) => name === event && JSON.stringify(payload) === JSON.stringify(value))

  await ask('module:subscribe', { module: 'both' })
  await until(
    () => heardOf('both:made', 1)() && heardOf('both:watched', 'somebody is there')() && heardOf('both:heard', 'a subscriber')(),
  )
  await until(() => heard.some(([event, error]) => event === 'error' && error.code === 'BOTH_LOST'))
  heard.sort(([one], [other]) => (one < other ? -1 : 1))
  await ask('both:say', { text: 'hello' })
  await ask('both:say', { text: 1 })
  await ask('both:say')
  for (const name of [
    'later',
    'misfit',
    'text',
    'cycle',
    'throw',
    'throw-text',
    'coded',
    'undeclared',
    'forbidden',
    'unreadable',
  ])
    await ask(`both:${name}`)
  await ask('both:after')
  await until(heardOf('both:heard', 'after the ack'))
  await ask('both:forever')
  await until(heardOf('both:heard', 'aborted: TIMEOUT'))
  for (const name of ['patient', 'who', 'address', 'publish-misfit', 'forget', 'left']) await ask(`both:${name}`)
  await until(() => heard.some(([event, error]) => event === 'error' && error.message === 'Under the sofa.'))
  const { caller } = acks.find(([command]) => command === 'both:who')[1]
  t.equal(caller.clientId, client.socket.id)

  const roles = ask('both:roles')
  await host.allow(1000, 'operator')
  t.same((await roles).roles, ['operator'])

  const pages = await Promise.all(
    ['text?a=1&b=2', 'bytes', 'broken', 'unready'].map(async (path) => {
      const answer = await fetch(`${host.url}/both/${path}`, { headers: { authorization: `Bearer ${client.sessionToken}` } })
      const content = Buffer.from(await answer.arrayBuffer())
      return [path, answer.status, answer.headers.get('content-type'), path === 'bytes' ? [...content] : content.toString()]
    }),
  )
  const owner = await host.client('owner')
  const { plugins } = await owner.ask('host:doctor')
  const { findings: all } = (plugins as Heard[]).find(({ id }) => id === 'both')
  const findings = (all as Heard[]).filter(({ kind }) => kind !== 'containment')

  // Whoever comes later sees what is so now; and nobody is there once all have left.
  const other = await host.client('viewer')
  const others = hear(other)
  await other.ask('module:subscribe', { module: 'both' })
  await until(() => others.some(([event]) => event === 'both:watched') && others.some(([event]) => event === 'both:made'))
  const seen = Object.fromEntries(others.filter(([event]) => /kept|watched/.test(event)))
  await client.ask('module:unsubscribe', { module: 'both' })
  const gone = new Promise((resolve) => owner.socket.on('both:kept', resolve))
  await owner.ask('module:subscribe', { module: 'both' })
  client.socket.close()
  t.equal(await gone, 'gone: string')

  const log = host.log.map((line) => JSON.parse(line) as Heard)
  t.ok(log.some(({ msg }) => msg === 'failed after its ack'))
  // What follows an ack or an abort comes a little later from another process.
  const prompt = heard.filter(([, value]) => value !== 'after the ack' && value !== 'aborted: TIMEOUT')
  const own = log
    .filter(({ plugin, data, msg }) => plugin === 'both' && data !== undefined && msg !== 'failed after its ack')
    .map(({ time, err, ...line }) => ({ ...line, err: err && [err.type, err.message] }))
  const failures = log
    .filter(({ msg = '' }) => msg.startsWith('a handler failed'))
    .map(({ err, reason }) => err?.message ?? err ?? reason)
  return JSON.parse(
    JSON.stringify({ acks, heard: prompt, pages, findings, seen, own, failures: failures.length }).replaceAll(
      /"(id|clientId|sessionId|authDate)":("[^"]+"|\d+)/g,
      '"$1":"…"',
    ),
  )
}

void t.test(
  'what a plugin does is the same to the last byte, whether it runs in the host or in a process of its own',
  async (t) => {
    const inHost = await transcript(t, 'host')
    const inProcess = await transcript(t, 'process')
    t.strictSame(inProcess, inHost)
    t.match(inHost.acks.find(([command]: [string]) => command === 'both:coded')[1], {
      success: false,
      code: 'BOTH_LOST',
      error: 'It is lost.',
      retryAfter: 3,
    })
    t.match(inHost.acks.find(([command]: [string]) => command === 'both:patient')[1], { success: true, waited: true })
    t.match(inHost.findings, [{ sentence: 'The bulb is dark.' }, { sentence: 'A check of its own failed: no bus' }])
  },
)
