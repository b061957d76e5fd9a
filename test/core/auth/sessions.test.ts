import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Identity } from '../../../core/auth/identity.ts'
import { type Session, Sessions } from '../../../core/auth/sessions.ts'
import { temporary } from '../lifecycle/lab.ts'

const minute = 60_000
const here = '192.0.2.1'
const expired = { code: 'SESSION_EXPIRED' }
const ada: Identity = {
  userId: 'telegram:1',
  user: { id: 1, firstName: 'Ada' },
  claims: { authDate: 1_799_999_000, startParam: 'x' },
}
const bob: Identity = { userId: 'telegram:2', user: { id: 2, firstName: 'Bob' }, claims: {} }

/** Sessions on a clock that stands still until it is moved, and everything they tell. */
async function setUp(t: Test, given?: string) {
  const file = given ?? join(await temporary(t), 'sessions.json')
  const clock = { now: 1_800_000_000_500 }
  const ages = { idleS: 7 * 86_400, absoluteS: 30 * 86_400 }
  const problems: string[] = []
  const reuses: Array<[id: string, address: string]> = []
  const ended: string[] = []
  const open = async () => {
    const sessions = new Sessions({
      file,
      ages: () => ages,
      now: () => clock.now,
      onProblem: (message) => void problems.push(message),
      onReuse: (session, address) => void reuses.push([session.id, address]),
    })
    t.teardown(() => sessions.close())
    sessions.onEnd = (session) => void ended.push(session.id)
    await sessions.load()
    return sessions
  }
  const sessions = await open()
  /** What a restart of the daemon makes of it. */
  const restart = async () => {
    await sessions.close()
    return open()
  }
  const isGood = (token: string) => {
    try {
      return sessions.check(token, here) !== undefined
    } catch {
      return false
    }
  }
  return { sessions, restart, clock, ages, problems, reuses, ended, file, isGood }
}

void t.test('a login gives a session and a token of 256 random bits that lets in again', async (t) => {
  const { sessions, clock } = await setUp(t)
  const { session, token } = sessions.create(ada)
  t.match(token, /^[\w-]{43}$/)
  t.match(session, { ...ada, createdAt: clock.now, lastUsedAt: clock.now, refusedTokens: [] })
  t.not(session.id, token)
  const again = sessions.resume(token, here)
  t.equal(again.session, session)
  t.not(again.token, token)
  t.equal(sessions.check(again.token, here), session)
  t.not(sessions.create(ada).session.id, session.id, 'another login is another session')
})

void t.test('what is no token is refused', async (t) => {
  const { sessions, reuses } = await setUp(t)
  const { session } = sessions.create(ada)
  for (const wrong of [undefined, null, 1, {}, [], 'x'.repeat(129)]) {
    t.throws(() => sessions.resume(wrong, here), { code: 'AUTH_INVALID' })
    t.throws(() => sessions.check(wrong, here), { code: 'AUTH_INVALID' })
  }
  for (const wrong of ['', 'x', 'x'.repeat(128), session.id, '__proto__']) {
    t.throws(() => sessions.resume(wrong, here), expired)
    t.throws(() => sessions.check(wrong, here), expired)
  }
  t.strictSame(reuses, [])
})

void t.test('a token stays good while none of its successors was used, however often replies are lost', async (t) => {
  const { sessions, clock, reuses } = await setUp(t)
  const { session, token } = sessions.create(ada)
  for (let i = 0; i < 100; i++) {
    clock.now += minute
    t.equal(sessions.resume(token, here).session, session)
  }
  t.strictSame(reuses, [])
})

void t.test('a token is refused a minute after one of its successors was first used, and its user learns of it', async (t) => {
  for (const use of ['resume', 'check'] as const) {
    const { sessions, clock, reuses } = await setUp(t)
    const { session, token } = sessions.create(ada)
    const lost = sessions.resume(token, here)
    const successor = sessions.resume(token, here)
    clock.now += 10 * minute
    sessions[use](successor.token, here)
    clock.now += minute - 1
    const secondTab = sessions.resume(token, here)
    sessions[use](successor.token, here)
    clock.now += 1
    t.throws(() => sessions.resume(token, '203.0.113.9'), expired)
    t.throws(() => sessions.check(token, '203.0.113.10'), expired)
    t.strictSame(reuses, [
      [session.id, '203.0.113.9'],
      [session.id, '203.0.113.10'],
    ])
    t.strictSame(session.refusedTokens, [
      { at: clock.now, address: '203.0.113.9' },
      { at: clock.now, address: '203.0.113.10' },
    ])
    for (const good of [lost, successor, secondTab]) t.equal(sessions.check(good.token, here), session, 'the others stay good')
  }
})

void t.test('only the latest refused tokens are remembered', async (t) => {
  const { sessions, clock, reuses } = await setUp(t)
  const { session, token } = sessions.create(ada)
  sessions.check(sessions.resume(token, here).token, here)
  clock.now += minute
  for (let i = 0; i < 20; i++) t.throws(() => sessions.check(token, `address ${i}`), expired)
  t.equal(reuses.length, 20)
  t.strictSame(
    session.refusedTokens.map(({ address }) => address),
    [12, 13, 14, 15, 16, 17, 18, 19].map((i) => `address ${i}`),
  )
})

void t.test('of too many good tokens those that were never used go first, then those used longest ago', async (t) => {
  const { sessions, clock, reuses, isGood } = await setUp(t)
  const { token } = sessions.create(ada)
  const tabs = Array.from({ length: 15 }, () => sessions.resume(token, here).token)
  const used = tabs.slice(0, 3)
  // Within the minute in which the first token is still good.
  for (const tab of used) {
    clock.now += 1
    t.ok(isGood(tab))
  }
  const more = Array.from({ length: 13 }, () => sessions.resume(token, here).token)
  t.ok(used.every(isGood))
  t.ok(more.every(isGood))
  t.notOk(tabs.slice(3).some(isGood), 'never used, and older')
  clock.now += 1
  const last = sessions.resume(token, here).token
  const [oldest, ...others] = used
  t.notOk(isGood(oldest as string))
  t.ok([...others, last].every(isGood))
  t.strictSame(reuses, [], 'and nobody is alarmed')
})

void t.test('the token that a successor is being minted from never makes room for it', async (t) => {
  const { sessions, isGood } = await setUp(t)
  const { token } = sessions.create(ada)
  const [tab = '', ...tabs] = Array.from({ length: 15 }, () => sessions.resume(token, here).token)
  t.ok([tab, ...tabs].every(isGood))
  t.ok(isGood(sessions.resume(token, here).token), 'all sixteen used at the same instant')
  const successor = sessions.resume(tab, here).token
  t.ok(isGood(tab))
  t.ok(isGood(successor))
  t.notOk(isGood(tabs[0] ?? ''))
})

void t.test('tokens that were replaced are remembered, but not without end', async (t) => {
  const { sessions, restart, clock, reuses } = await setUp(t)
  const tokens = [sessions.create(ada).token]
  for (let i = 0; i < 200; i++) {
    tokens.push(sessions.resume(tokens.at(-1), here).token)
    clock.now += 2 * minute
  }
  const old = tokens.slice(0, -2).reverse()
  for (const token of old) t.throws(() => sessions.check(token, here), expired)
  t.ok(reuses.length >= 32 && reuses.length < 40, `${reuses.length} are remembered`)
  const again = await restart()
  for (const token of old) t.throws(() => again.check(token, here), expired)
  t.equal(again.check(tokens.at(-1), here).userId, ada.userId)
})

void t.test('a session ends when it is not used, and when its time is over', async (t) => {
  const { sessions, clock, ages, ended } = await setUp(t)
  const { session, token } = sessions.create(ada)
  t.equal(sessions.expiresAt(session), clock.now + ages.idleS * 1000)
  clock.now += ages.idleS * 1000 - 1
  t.equal(sessions.check(token, here), session)
  for (let days = 7; days < 30; days++) {
    clock.now = session.createdAt + days * 86_400_000
    sessions.touch(session)
    t.equal(session.lastUsedAt, clock.now)
  }
  const end = session.createdAt + ages.absoluteS * 1000
  t.equal(sessions.expiresAt(session), end)
  clock.now = end - 1
  t.equal(sessions.get(session.id), session)
  clock.now = end
  t.throws(() => sessions.resume(token, here), expired)
  t.strictSame(ended, [session.id])
  t.equal(session.endedAt, end)
  t.equal(sessions.signedBefore(ada.userId), 0, 'which forbids no new login')
})

void t.test('an expired session is found out by whatever looks at it first, and told once', async (t) => {
  const looks: Array<(sessions: Sessions, session: Session) => unknown> = [
    (sessions, { id }) => sessions.get(id),
    (sessions, { id }) => sessions.list().find((other) => other.id === id),
    (sessions, { id }) => sessions.revoke(id) || undefined,
    (sessions, session) => void sessions.touch(session),
    (sessions) => void sessions.create(bob),
  ]
  for (const look of looks) {
    const { sessions, clock, ages, ended } = await setUp(t)
    const { session } = sessions.create(ada)
    clock.now += ages.idleS * 1000
    t.equal(look(sessions, session), undefined)
    t.strictSame(ended, [session.id])
    sessions.touch(session)
    t.strictSame([sessions.get(session.id), ended.length], [undefined, 1])
  }
})

void t.test('a listener that looks at the sessions itself has none told twice', async (t) => {
  const { sessions, clock, ages, ended } = await setUp(t)
  const [one, two] = [sessions.create(ada).session, sessions.create(bob).session]
  const { onEnd } = sessions
  sessions.onEnd = (...told) => {
    sessions.list()
    onEnd(...told)
  }
  clock.now += ages.idleS * 1000
  t.strictSame(sessions.list(), [])
  t.strictSame(ended.sort(), [one.id, two.id].sort())
})

void t.test('without a clock of their own sessions go by that of the machine', async (t) => {
  const nothing = () => {}
  const file = join(t.testdir(), 'sessions.json')
  const sessions = new Sessions({ file, ages: () => ({ idleS: 60, absoluteS: 60 }), onProblem: nothing, onReuse: nothing })
  t.ok(Math.abs(sessions.create(ada).session.createdAt - Date.now()) < 5000)
  await sessions.close()
})

void t.test('ages that change count at once', async (t) => {
  const { sessions, clock, ages } = await setUp(t)
  const { session } = sessions.create(ada)
  clock.now += 3000
  ages.idleS = 3
  t.equal(sessions.get(session.id), undefined)
})

void t.test('a clock that is set back takes nothing from the use of a session', async (t) => {
  const { sessions, clock } = await setUp(t)
  const { session } = sessions.create(ada)
  const { lastUsedAt } = session
  clock.now -= 1000
  sessions.touch(session)
  t.equal(session.lastUsedAt, lastUsedAt)
})

void t.test('sessions are listed for one user or for all', async (t) => {
  const { sessions } = await setUp(t)
  const [first, second, third] = [ada, bob, ada].map((identity) => sessions.create(identity).session)
  t.strictSame(sessions.list(), [first, second, third])
  t.strictSame(sessions.list('telegram:1'), [first, third])
  t.strictSame(sessions.list('telegram:3'), [])
  t.equal(sessions.get(first?.id ?? ''), first)
  t.equal(sessions.get('x'), undefined)
})

void t.test('who revokes a session ends its tokens, and only if it is his where a user is named', async (t) => {
  const { sessions, ended, reuses } = await setUp(t)
  const { session, token } = sessions.create(ada)
  const other = sessions.create(ada)
  const successor = sessions.resume(token, here)
  t.equal(sessions.revoke(session.id, bob.userId), false)
  t.equal(sessions.revoke('x'), false)
  t.equal(sessions.signedBefore(ada.userId), 0)
  t.equal(sessions.check(token, here), session)
  t.equal(sessions.revoke(session.id, ada.userId), true)
  for (const gone of [token, successor.token]) t.throws(() => sessions.check(gone, here), expired)
  t.equal(sessions.revoke(session.id), false, 'twice is not possible')
  t.strictSame([ended, reuses], [[session.id], []])
  t.ok(session.endedAt)
  t.equal(sessions.check(other.token, here), other.session, 'his other sessions stand')
  t.equal(sessions.revoke(other.session.id), true)
})

void t.test('init data signed up to the second of a revocation is refused, also after a restart', async (t) => {
  const { sessions, restart, clock } = await setUp(t)
  sessions.revoke(sessions.create(ada).session.id)
  const before = sessions.signedBefore(ada.userId)
  t.ok(1_800_000_000_000 <= before, 'of the same second')
  t.ok(1_800_000_001_000 > before, 'of the next second')
  t.equal(sessions.signedBefore(bob.userId), 0)
  clock.now -= 5000
  sessions.revoke(sessions.create(ada).session.id)
  t.equal(sessions.signedBefore(ada.userId), before, 'a clock that is set back opens nothing')
  t.equal((await restart()).signedBefore(ada.userId), before)
})

void t.test('on a machine whose clock is behind, a revocation still covers the init data of the login', async (t) => {
  const { sessions, clock } = await setUp(t)
  const { session } = sessions.create(ada)
  clock.now = 1_799_990_000_000
  sessions.revoke(session.id)
  t.equal(sessions.signedBefore(ada.userId), 1_799_999_000_000)
})

void t.test('revocations are kept for ten thousand users, the oldest is forgotten', async (t) => {
  const { sessions } = await setUp(t)
  const revokeOf = (i: number) => sessions.revoke(sessions.create({ ...bob, userId: `telegram:${i}` }).session.id)
  for (let i = 0; i < 10_000; i++) revokeOf(i)
  revokeOf(0)
  revokeOf(10_000)
  const remembered = [0, 1, 2, 10_000].map((i) => sessions.signedBefore(`telegram:${i}`) > 0)
  t.strictSame(remembered, [true, false, true, true])
})

void t.test('a user has at most 50 sessions, the one used longest ago makes room', async (t) => {
  const { sessions, clock, ended } = await setUp(t)
  const bobs = sessions.create(bob).session
  const adas = Array.from({ length: 50 }, () => {
    clock.now++
    return sessions.create(ada).session
  })
  clock.now++
  sessions.touch(adas[0] as Session)
  t.strictSame(ended, [])
  sessions.create(ada)
  t.strictSame(ended, [adas[1]?.id])
  t.equal(sessions.list(ada.userId).length, 50)
  t.equal(sessions.get(bobs.id), bobs)
})

void t.test('there are at most 10,000 sessions, the one used longest ago makes room', async (t) => {
  const { file, sessions: before } = await setUp(t)
  const { createdAt, ...some } = before.create(ada).session
  await before.close()
  const logins = Array.from({ length: 10_000 }, (_, i) => ({
    session: { ...some, id: `${i}`, userId: `telegram:${i}`, createdAt, lastUsedAt: createdAt + ((i + 5000) % 10_000) },
    tokens: [],
  }))
  writeFileSync(file, JSON.stringify({ logins, signedBefore: [] }))
  const { sessions, ended } = await setUp(t, file)
  t.equal(sessions.list().length, 10_000)
  sessions.create(ada)
  t.strictSame(ended, ['5000'])
  t.equal(sessions.list().length, 10_000)
})

void t.test('a restart logs nobody out and forgets nothing of a session', async (t) => {
  const { sessions, restart, clock, file, reuses } = await setUp(t)
  const { session, token } = sessions.create(ada)
  const successor = sessions.resume(token, here).token
  const spare = sessions.resume(token, here).token
  sessions.check(successor, here)
  await sessions.close()
  clock.now += minute
  t.throws(() => sessions.check(token, here), expired)
  const again = await restart()
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.strictSame(again.list(), [session])
  for (const good of [successor, spare]) t.equal(again.check(good, here).id, session.id)
  t.throws(() => again.check(token, here), expired)
  t.equal(reuses.length, 2, 'the replaced token is still known as such')
})

void t.test('the activity of a socket survives a restart', async (t) => {
  const { sessions, restart, clock } = await setUp(t)
  const { session } = sessions.create(ada)
  await sessions.close()
  clock.now += minute
  sessions.touch(session)
  t.equal((await restart()).get(session.id)?.lastUsedAt, clock.now)
})

void t.test('who descends from whom survives a restart', async (t) => {
  const { sessions, restart, clock, reuses } = await setUp(t)
  const { token } = sessions.create(ada)
  const successor = sessions.resume(token, here).token
  const again = await restart()
  again.check(successor, here)
  t.equal(again.check(token, here).userId, ada.userId)
  clock.now += minute
  t.throws(() => again.check(token, here), expired)
  t.equal(reuses.length, 1)
})

void t.test('no token is on the disk', async (t) => {
  const { sessions, file } = await setUp(t)
  const { token } = sessions.create(ada)
  const successor = sessions.resume(token, here).token
  await sessions.close()
  const text = readFileSync(file, 'utf8')
  t.match(text, /"Ada"/)
  for (const secret of [token, successor]) t.notOk(text.includes(secret))
})

void t.test('every change is written by itself', async (t) => {
  const { sessions, file } = await setUp(t)
  const changes: Array<() => unknown> = []
  const { session, token } = sessions.create(ada)
  const successor = sessions.resume(token, here).token
  changes.push(
    () => sessions.check(successor, here),
    () => sessions.revoke(session.id),
  )
  await written(file, /"signedBefore":\[\]/)
  for (const [change, sign] of [
    [changes[0], /retiresAt/],
    [changes[1], /"logins":\[\]/],
  ] as const) {
    change?.()
    await written(file, sign)
  }
  t.match(readFileSync(file, 'utf8'), /"signedBefore":\[\["telegram:1",/)
})

/** Waits until the file holds something. */
async function written(file: string, sign: RegExp): Promise<void> {
  for (;;) {
    try {
      if (sign.test(readFileSync(file, 'utf8'))) return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

void t.test('sessions that expired while the daemon was down are dropped', async (t) => {
  const { sessions, restart, clock, ages, ended } = await setUp(t)
  const { token } = sessions.create(ada)
  clock.now += 1
  const later = sessions.create(bob)
  clock.now += ages.idleS * 1000 - 1
  const again = await restart()
  t.strictSame(again.list(), [later.session])
  t.strictSame(ended, [], 'nobody is there to be told')
  t.throws(() => again.check(token, here), expired)
})

void t.test('a file that is missing is no problem', async (t) => {
  const { sessions, problems } = await setUp(t)
  t.strictSame([sessions.list(), problems], [[], []])
})

void t.test('a damaged file is moved aside and reported, without what it holds, and a new one is begun', async (t) => {
  for (const text of [
    '',
    '{"logins":["secret"',
    'null',
    '[]',
    '{}',
    '{"logins":{},"signedBefore":[]}',
    '{"logins":[]}',
    '\0\0\0',
  ]) {
    const file = join(t.testdir({ 'sessions.json': text }), 'sessions.json')
    const { sessions, problems, restart } = await setUp(t, file)
    t.match(problems, [
      /sessions\.json could not be read.*moved to .*sessions\.json\.damaged\).*log in again|sessions\.json could not be read.*sessions\.json\.damaged/,
    ])
    t.notMatch(problems[0], /secret/)
    t.equal(readFileSync(`${file}.damaged`, 'utf8'), text)
    const { session } = sessions.create(ada)
    t.strictSame((await restart()).list(), [session])
  }
})

void t.test('a file that cannot be read nor moved aside is reported', async (t) => {
  const file = join(t.testdir({ 'sessions.json': {}, 'sessions.json.damaged': 'a file' }), 'sessions.json')
  const { problems } = await setUp(t, file)
  t.match(problems, [/could not be read \(EISDIR\) and could not be moved aside/])
})

void t.test('entries of the file that make no sense are dropped, the others stay', async (t) => {
  const { sessions, file } = await setUp(t)
  const { session, token } = sessions.create(ada)
  sessions.revoke(sessions.create(bob).session.id)
  await sessions.close()
  const { logins, signedBefore } = JSON.parse(readFileSync(file, 'utf8'))
  const [good] = logins
  const without = (field: string, value?: unknown) => ({
    ...good,
    session: { ...good.session, id: `without ${field}`, [field]: value },
  })
  const wrong = [
    null,
    1,
    'x',
    [],
    {},
    { session: null, tokens: [] },
    { session: good.session },
    { session: good.session, tokens: {} },
  ]
  for (const field of ['userId', 'user', 'claims', 'createdAt', 'lastUsedAt', 'refusedTokens'])
    wrong.push(without(field), without(field, null))
  for (const one of [null, {}, { hash: 1, usedAt: 0 }, { hash: 'x', usedAt: null }])
    wrong.push({ session: { ...good.session, id: 'with wrong tokens' }, tokens: [one] })
  wrong.push(without('id', 5))
  writeFileSync(
    file,
    JSON.stringify({ logins: [...wrong, good], signedBefore: [null, 1, [], ['a'], [1, 1], ['a', 'b'], ...signedBefore] }),
  )
  const { sessions: again, problems } = await setUp(t, file)
  t.strictSame(again.list(), [session])
  t.strictSame(again.check(token, here), session)
  t.ok(again.signedBefore(bob.userId))
  t.equal(again.signedBefore('a'), 0)
  t.strictSame(problems, [])
})

void t.test('while the disk is not to be had sessions live in memory, and are saved when it is back', async (t) => {
  const directory = join(t.testdir({ data: {} }), 'data')
  const { sessions, restart, problems } = await setUp(t, join(directory, 'sessions.json'))
  renameSync(directory, `${directory}.away`)
  const { session, token } = sessions.create(ada)
  await sessions.close()
  await sessions.close()
  t.match(problems, [/cannot be written \(ENOENT\)/])
  const successor = sessions.resume(token, here)
  t.equal(sessions.check(successor.token, here), session)
  mkdirSync(directory)
  await sessions.close()
  t.match(problems, [/cannot be written/, /can be written again/])
  t.strictSame((await restart()).check(successor.token, here), session)
})
