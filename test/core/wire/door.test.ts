import { connect as tcp } from 'node:net'
import t from 'tap'
import { Guard } from '../../../core/http/guard.ts'
import { Door } from '../../../core/wire/door.ts'
import { dial, type Heard, join, memory, once, RawSocket, refusal, startLab, until } from './lab.ts'

/** Status of an HTTP request written by hand, as browsers and attackers send it. */
function status(url: string, target: string, headers: Record<string, string>): Promise<number> {
  const { hostname, port, host } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = tcp(Number(port), hostname)
    const lines = Object.entries({ Host: host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.on('error', reject).end(`GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`)
    socket.setEncoding('utf8').once('data', (answer) => {
      resolve(Number(String(answer).split(' ')[1]))
      socket.destroy()
    })
  })
}
const polling = '/socket.io/?EIO=4&transport=polling'
const websocket = '/socket.io/?EIO=4&transport=websocket'
const upgrade = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
}

void t.test('the door says AUTH_REQUIRED, AUTH_INVALID, ACCESS_DENIED or SESSION_EXPIRED, and why', async (t) => {
  const host = await startLab(t, [], { host: { limits: { failuresPerMinute: 1000 } } })
  for (const auth of [undefined, {}, { other: 1 }])
    t.match(await refusal(t, host, auth), { message: 'AUTH_REQUIRED', data: { code: 'AUTH_REQUIRED', reason: String } })
  for (const initData of [null, 0, '', 'hash=x', [], {}, 'x'.repeat(10_000), host.initData(5, { hash: 'f'.repeat(64) })])
    t.match(await refusal(t, host, { initData }), { message: 'AUTH_INVALID', data: { code: 'AUTH_INVALID', reason: String } })
  for (const sessionToken of [null, 0, [], {}, 'x'.repeat(10_000)])
    t.match(await refusal(t, host, { sessionToken }), { message: 'AUTH_INVALID' })
  t.match(await refusal(t, host, { sessionToken: 'never-heard-of' }), {
    message: 'SESSION_EXPIRED',
    data: { code: 'SESSION_EXPIRED' },
  })
  t.match(await refusal(t, host, { initData: host.initData(271828) }), {
    message: 'ACCESS_DENIED',
    data: { code: 'ACCESS_DENIED', telegramId: '271828', command: 'patchbay access add 271828 operator', reason: /271828/ },
  })
  t.ok(
    host.log.some((line) => line.includes('"code":"ACCESS_DENIED"') && line.includes('127.0.0.1')),
    'the log tells',
  )
  const reasons = JSON.stringify(await refusal(t, host, { sessionToken: 'a-secret-token' }))
  t.notOk(reasons.includes('a-secret-token') || host.log.some((line) => line.includes('a-secret-token')))
})

void t.test('who is let in hears who he is, and comes back by his token', async (t) => {
  const host = await startLab(t, [])
  await host.allow(5, 'viewer')
  const socket = dial(t, host, { initData: host.initData(5) })
  const [{ user, sessionToken }] = await once(socket, 'auth:success')
  t.strictSame(user, { id: 5, firstName: 'Test 5' })
  const again = await join(t, host, { sessionToken })
  t.not(again.sessionToken, sessionToken, 'with a successor')
  await join(t, host, { sessionToken, initData: 'outdated' })
  t.pass('a token comes before init data')
})

void t.test('a namespace that nobody serves lets nobody in', async (t) => {
  const host = await startLab(t, [])
  await host.allow(5, 'owner')
  const auth = { initData: host.initData(5) }
  t.match(await refusal(t, host, auth, {}, '/nothing'), { message: 'Invalid namespace' })
  await host.writeConfig('plugins', { plugins: { system: { enabled: false, namespace: '/elsewhere' } } })
  await until(() => host.host.status().some(({ namespace }) => namespace === '/elsewhere'))
  const elsewhere = await join(t, host, auth, {}, '/elsewhere')
  t.match(await elsewhere.ask('module:subscribe', { module: 'system' }), { success: true, state: 'disabled' })
  t.match(await elsewhere.ask('module:subscribe', { module: 'host' }), { code: 'MODULE_NOT_FOUND' }, 'only what is mounted there')
  const gone = once(elsewhere.socket, 'disconnect')
  await host.writeConfig('plugins', { plugins: {} })
  await gone
  t.match(await refusal(t, host, auth, {}, '/elsewhere'), {
    message: 'AUTH_REQUIRED',
    data: { reason: 'Nothing is served on this namespace.' },
  })
})

void t.test('a foreign Host or Origin is turned away before anything else, polling or not', async (t) => {
  const host = await startLab(t, [], { host: { origins: ['https://app.example'] } })
  const port = new URL(host.url).port
  const cases: Array<[Record<string, string>, boolean]> = [
    [{}, true],
    [{ Host: `localhost:${port}` }, true],
    [{ Host: 'evil.example' }, false],
    [{ Origin: `http://localhost:${port}` }, true],
    [{ Origin: 'https://app.example' }, true],
    [{ Origin: 'null' }, false],
    [{ Origin: 'https://evil.example' }, false],
    [{ Host: 'evil.example', Origin: 'http://evil.example' }, false],
  ]
  for (const [headers, isServed] of cases) {
    t.equal(await status(host.url, polling, headers), isServed ? 200 : 403, `polling ${JSON.stringify(headers)}`)
    t.equal(
      await status(host.url, websocket, { ...headers, ...upgrade }),
      isServed ? 101 : 403,
      `websocket ${JSON.stringify(headers)}`,
    )
  }
})

void t.test('an address that is full gets 429 before the handshake, others do not', async (t) => {
  const host = await startLab(t, [], { host: { limits: { socketsPerAddress: 2 }, trustedProxies: ['127.0.0.1'] } })
  await host.allow(5, 'owner')
  const from = (address: string) => ({ extraHeaders: { 'X-Forwarded-For': address } })
  const sockets = [
    dial(t, host, { initData: host.initData(5) }, from('203.0.113.7')),
    dial(t, host, { initData: host.initData(5) }, from('203.0.113.7')),
  ]
  await Promise.all(sockets.map((socket) => once(socket, 'auth:success')))
  const headers = { 'X-Forwarded-For': '203.0.113.7' }
  t.equal(await status(host.url, polling, headers), 429)
  t.equal(await status(host.url, websocket, { ...headers, ...upgrade }), 429)
  t.equal(
    await status(host.url, polling, { 'X-Forwarded-For': '203.0.113.7, 203.0.113.8' }),
    200,
    'headers are read from the right',
  )
  t.equal(
    await status(host.url, polling, { 'X-Forwarded-For': '203.0.113.8, 203.0.113.7' }),
    429,
    'what a client adds on the left is nothing',
  )
  sockets[0]?.close()
  await until(async () => (await status(host.url, polling, headers)) === 200, 'who leaves makes no room')
})

void t.test('a whole IPv6 network counts as one address', async (t) => {
  const host = await startLab(t, [], { host: { limits: { socketsPerAddress: 1 }, trustedProxies: ['127.0.0.1'] } })
  await host.allow(5, 'owner')
  await join(t, host, { initData: host.initData(5) }, { extraHeaders: { 'X-Forwarded-For': '2001:db8:1:2::1' } })
  t.equal(await status(host.url, polling, { 'X-Forwarded-For': '2001:db8:1:2:ffff::9' }), 429)
  t.equal(await status(host.url, polling, { 'X-Forwarded-For': '2001:db8:1:3::1' }), 200)
})

void t.test('forwarding headers count for nothing without a listed proxy', async (t) => {
  const host = await startLab(t, [], { host: { limits: { socketsPerAddress: 1 } } })
  await host.allow(5, 'owner')
  await join(t, host, { initData: host.initData(5) }, { extraHeaders: { 'X-Forwarded-For': '203.0.113.7' } })
  for (const name of ['X-Forwarded-For', 'Forwarded', 'X-Real-IP'])
    t.equal(await status(host.url, polling, { [name]: '203.0.113.9' }), 429)
})

void t.test('the host is full at its own limit, whatever the address', async (t) => {
  const host = await startLab(t, [], { host: { limits: { sockets: 1 }, trustedProxies: ['127.0.0.1'] } })
  await host.client('owner')
  t.equal(await status(host.url, polling, { 'X-Forwarded-For': '203.0.113.7' }), 429)
})

void t.test('connections that never log in make room for those that do', async (t) => {
  const host = await startLab(t, [], { host: { limits: { pendingPerAddress: 3, socketsPerAddress: 6 } } })
  const stranger = () => RawSocket.open(t, host.url)
  const strangers = [await stranger(), await stranger(), await stranger()]
  strangers.push(await stranger())
  await strangers[0]?.closed
  t.strictSame(
    strangers.map(({ isOpen }) => isOpen),
    [false, true, true, true],
    'the oldest goes',
  )
  const clients = [await host.client('owner'), await host.client('owner'), await host.client('owner'), await host.client('owner')]
  await until(() => strangers.filter(({ isOpen }) => isOpen).length <= 2)
  for (const client of clients) t.match(await client.ask('host:sessions'), { success: true })
})

void t.test('after 300 failed logins from an address a valid one from there gets in at once', async (t) => {
  const host = await startLab(t, [])
  await host.allow(5, 'owner')
  const failures = await Promise.all(
    Array.from({ length: 300 }, () => refusal(t, host, { initData: 'hash=0' }).catch((error: Error) => error)),
  )
  const late = failures.filter(({ data }: Heard) => data?.retryAfter === 60)
  t.ok(failures.every(({ message }) => message === 'AUTH_INVALID' || message === 'websocket error'))
  t.ok(late.length > 100, 'those beyond the limit are told to wait')
  const begun = performance.now()
  await join(t, host, { initData: host.initData(5) })
  t.ok(performance.now() - begun < 1000)
  t.equal(host.log.filter((line) => line.includes('too many failed logins')).length, 1, 'the log says it once')
  t.ok(host.log.filter((line) => line.includes('"msg":"refused"')).length <= 31, 'and is not flooded')
})

void t.test('who is refused may try again on the same connection, until it has been too often', async (t) => {
  const host = await startLab(t, [], { host: { limits: { failuresPerMinute: 2 } } })
  await host.allow(5, 'owner')
  const socket = await RawSocket.open(t, host.url)
  socket.send('40{"initData":"hash=0"}')
  await socket.hears(/^44.*AUTH_INVALID/)
  socket.send(`40${JSON.stringify({ initData: host.initData(5) })}`)
  await socket.hears(/^42\["auth:success"/)
  for (const isTheEnd of [false, true]) {
    const other = await RawSocket.open(t, host.url)
    other.send('40{"initData":"hash=0"}')
    await other.hears(/^44.*AUTH_INVALID/)
    if (isTheEnd) await other.closed
    t.equal(other.isOpen, !isTheEnd)
  }
  t.ok(socket.isOpen, 'whoever is in stays')
})

void t.test('credentials that are no object end the connection', async (t) => {
  const host = await startLab(t, [])
  for (const packet of ['40[]', '40"text"', '407', '40null', '40{']) {
    const socket = await RawSocket.open(t, host.url)
    socket.send(packet)
    await Promise.race([socket.closed, socket.hears(/^44.*AUTH_/)])
  }
  t.pass('or are refused')
})

void t.test('a user with too many sockets is told when to come again', async (t) => {
  const host = await startLab(t, [], { host: { limits: { socketsPerUser: 2 } } })
  const first = await host.client('owner', 5)
  const second = await join(t, host, { sessionToken: first.sessionToken })
  for (const auth of [{ initData: host.initData(5) }, { sessionToken: first.sessionToken }])
    t.match(await refusal(t, host, auth), { message: 'ACCESS_DENIED', data: { retryAfter: 30, reason: /too many connections/ } })
  t.match((await first.ask('host:sessions')).sessions, { length: 1 }, 'who is refused is given no session')
  await host.client('owner', 6)
  second.socket.close()
  await until(() => host.host.status() && first.socket.connected)
  await until(
    () =>
      join(t, host, { sessionToken: first.sessionToken }).then(
        () => true,
        () => false,
      ),
    'no room was made',
  )
})

void t.test('a connection that its user left is closed', async (t) => {
  const host = await startLab(t, [])
  await host.allow(5, 'owner')
  const socket = await RawSocket.login(t, host, 5)
  socket.send('41')
  await socket.closed
  t.pass()
})

void t.test('roles, sessions and the list of those who may enter count at once', async (t) => {
  const host = await startLab(t, [], { roles: { hearer: ['host:subscribe'], deaf: ['host:sessions'] } })
  const [hearer, revoked, removed, owner] = [
    await host.client('hearer', 5),
    await host.client('viewer', 6),
    await host.client('viewer', 7),
    await host.client('owner', 8),
  ]
  for (const client of [hearer, revoked, removed])
    t.match(await client.ask('module:subscribe', { module: 'host' }), { success: true })
  const within = async (what: string, promise: Promise<unknown>, cause: () => unknown) => {
    const begun = performance.now()
    await Promise.all([promise, cause()])
    t.ok(performance.now() - begun < 1000, `${what} within a second`)
  }
  await within(
    'a role taken away is told',
    hearer.next('error', ({ module, code }: Heard) => module === 'host' && code === 'FORBIDDEN'),
    () => host.allow(5, 'deaf'),
  )
  t.equal(host.host.subscriberCount('host'), 2)
  t.match(await hearer.ask('module:subscribe', { module: 'host' }), { code: 'FORBIDDEN' })
  t.match(await hearer.ask('host:sessions'), { success: true }, 'what the new role may it may at once')

  const { sessions } = (await owner.ask('host:sessions', { all: true })) as Heard
  const { id } = sessions.find(({ userId }: Heard) => userId === 'telegram:6')
  const oldInitData = host.initData(6)
  const goodbye = Promise.all([
    revoked.next('error', ({ code }: Heard) => code === 'SESSION_EXPIRED'),
    once(revoked.socket, 'disconnect'),
  ])
  await within('a revoked session is told and closed', goodbye, () => owner.ask('host:revoke', { id }))
  t.match(await refusal(t, host, { sessionToken: revoked.sessionToken }), { message: 'SESSION_EXPIRED' })
  t.match(await refusal(t, host, { initData: oldInitData }), {
    message: 'AUTH_INVALID',
    data: { reason: /revoked after this was signed/ },
  })

  const farewell = Promise.all([
    removed.next('error', ({ code }: Heard) => code === 'ACCESS_DENIED'),
    once(removed.socket, 'disconnect'),
  ])
  await within('a user taken off the list is told and closed', farewell, () =>
    host.writeConfig('access', { users: { 8: 'owner' }, roles: {} }),
  )
  t.match(await refusal(t, host, { sessionToken: removed.sessionToken }), { message: 'ACCESS_DENIED' })
  t.equal(host.host.subscriberCount('host'), 0)
})

void t.test('who revokes his own session hears the answer first', async (t) => {
  const host = await startLab(t, [])
  const client = await host.client('viewer')
  const order: string[] = []
  client.socket.on('error', ({ code }) => order.push(code))
  const { sessions } = (await client.ask('host:sessions')) as Heard
  client.socket.emit('host:revoke', { id: sessions[0].id }, ({ success }: Heard) => order.push(`ack ${success}`))
  await once(client.socket, 'disconnect')
  t.strictSame(order, ['ack true', 'SESSION_EXPIRED'])
})

void t.test('a session that expires takes its sockets along', async (t) => {
  const host = await startLab(t, [], { host: { ages: { sessionAbsoluteS: 2 } } })
  const begun = performance.now()
  const client = await host.client('viewer')
  const [told] = await Promise.all([client.next('error'), once(client.socket, 'disconnect')])
  t.match(told, { code: 'SESSION_EXPIRED', module: 'host' })
  t.ok(performance.now() - begun < 3200, 'within a second')
  t.match(await refusal(t, host, { sessionToken: client.sessionToken }), { message: 'SESSION_EXPIRED' })
})

void t.test('a live socket keeps its session from idling out', async (t) => {
  const host = await startLab(t, [], { host: { ages: { sessionIdleS: 2 } } })
  const client = await host.client('viewer')
  await new Promise((resolve) => setTimeout(resolve, 2500))
  t.match(await client.ask('host:sessions'), { success: true })
})

void t.test('addresses that have come and gone are forgotten, and those that failed lately are not', async (t) => {
  const silent = { debug() {}, info() {}, warn() {}, error() {} }
  const limits = {
    sockets: 1,
    socketsPerAddress: 1,
    pendingPerAddress: 1,
    socketsPerUser: 1,
    failuresPerMinute: 1,
    messageBytes: 1,
    inFlightPerUser: 1,
    backlogMessages: 1,
  }
  const door = new Door({
    guard: new Guard(() => ({ hosts: [], origins: [], trustedProxies: [] })),
    limits: () => limits,
    log: silent,
  })
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  /** Whether this address, failing once more, has failed too often. */
  const fail = (remoteAddress: string): boolean => {
    let refused: Heard
    const request = { headers: {}, socket: { remoteAddress }, connection: { remoteAddress } }
    const socket = { request, handshake: {}, conn: { close() {} } }
    void door.admit(
      socket as never,
      undefined,
      () => 0,
      (error) => {
        refused = error
      },
    )
    return refused.data.retryAfter === 60
  }
  const at = (time: number, ...addresses: string[]) => {
    Date.now = () => time
    const answers = addresses.map(fail)
    Date.now = now
    return answers
  }
  const addresses = (net: number, count: number) => Array.from({ length: count }, (_, i) => `${net}.0.${i >> 8}.${i & 255}`)
  at(1e9, ...addresses(10, 10_000))
  t.strictSame(at(1e9 + 40_000, '192.0.2.1'), [false])
  const before = await memory()
  at(1e9 + 65_000, ...addresses(11, 100))
  t.strictSame(at(1e9 + 65_000, '192.0.2.1'), [true], 'after 25 seconds it is still known')
  const freed = before - (await memory())
  t.ok(freed > 1_000_000, `of 10,000 addresses that failed a minute ago nothing is left: ${freed} bytes are free again`)
})
