import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Access } from '../../../core/auth/access.ts'
import type { ContractRole } from '../../../core/plugin/contract.ts'

const marks: ContractRole[] = ['viewer', 'operator', 'owner']

/** What a role that lists these grants may do. */
function grants(...patterns: string[]): (module: string, name: string) => boolean {
  const access = new Access({ users: { 1: 'made' }, roles: { made: patterns } })
  return (module, name) => access.can(access.rolesOf('telegram:1'), module, name, 'viewer')
}

void t.test('users are found by their Telegram id, and nobody else is', async (t) => {
  const access = new Access({ users: { 1: 'owner', 2: ['viewer', 'guest'] }, roles: {} })
  t.strictSame(access.rolesOf('telegram:1'), ['owner'])
  t.strictSame(access.rolesOf('telegram:2'), ['viewer', 'guest'])
  t.strictSame(access.rolesOf('local:owner'), ['owner'])
  for (const id of [
    'telegram:3',
    'telegram:',
    '1',
    'jwt:1',
    'local:1',
    'telegram:telegram:1',
    'telegram:__proto__',
    'telegram:constructor',
    '__proto__',
    '',
  ])
    t.strictSame(access.rolesOf(id), [], id)
})

void t.test('a list of roles cannot be changed by who gets it, nor by who gave it', async (t) => {
  const roles = ['viewer']
  const access = new Access({ users: { 1: roles }, roles: {} })
  roles.push('owner')
  t.strictSame(access.rolesOf('telegram:1'), ['viewer'])
  for (const id of ['telegram:1', 'telegram:2', 'local:owner'])
    t.throws(() => (access.rolesOf(id) as string[]).push('owner'), TypeError)
  t.equal(access.rolesOf('telegram:1'), access.rolesOf('telegram:1'), 'and it is the same at every call')
})

void t.test('there is an owner when a user is named as one', async (t) => {
  t.ok(new Access({ users: { 1: ['guest', 'owner'] }, roles: {} }).hasOwner())
  t.ok(new Access({ users: { 1: 'viewer', 2: 'owner' }, roles: {} }).hasOwner())
  t.notOk(new Access({ users: { 1: 'owners' }, roles: { owners: ['*'] } }).hasOwner())
  t.notOk(new Access({ users: {}, roles: {} }).hasOwner())
})

void t.test('built-in roles go by the mark of the contract', async (t) => {
  const access = new Access({ users: {}, roles: {} })
  const may = (role: string) => marks.filter((mark) => access.can([role], 'wifi', 'wifi:connect', mark))
  t.strictSame(may('owner'), ['viewer', 'operator', 'owner'])
  t.strictSame(may('operator'), ['viewer', 'operator'])
  t.strictSame(may('viewer'), ['viewer'])
  for (const role of ['', 'guest', '__proto__', 'constructor', 'Owner']) t.strictSame(may(role), [], role)
  t.notOk(access.can([], 'wifi', 'wifi:connect', 'viewer'))
  t.notOk(access.can(['owner'], 'wifi', 'wifi:connect', 'root' as ContractRole), 'a mark that does not exist grants nothing')
})

void t.test('a role that is defined has exactly what it lists', async (t) => {
  const may = grants('system:*', '!system:reboot', 'wifi:subscribe')
  t.ok(may('system', 'system:stats'))
  t.ok(may('system', 'subscribe'))
  t.notOk(may('system', 'system:reboot'))
  t.ok(may('wifi', 'subscribe'))
  t.notOk(may('wifi', 'wifi:scan'))
  t.notOk(grants()('system', 'subscribe'), 'with nothing listed it may do nothing')
})

void t.test('a name that carries its module already is not given it twice', async (t) => {
  const may = grants('wifi:scan', 'wifi:wifinder')
  t.ok(may('wifi', 'wifi:scan'))
  t.ok(may('wifi', 'scan'))
  t.ok(may('wifi', 'wifinder'), 'a beginning is not a prefix')
  t.notOk(may('radio', 'wifi:scan'), 'the prefix of another module is a part of the name')
  t.ok(grants('radio:wifi:scan')('radio', 'wifi:scan'))
})

void t.test('a denial in one role outdoes what any of the others grant', async (t) => {
  const access = new Access({ users: {}, roles: { careful: ['!system:*', 'system:reboot'], bold: ['*'] } })
  for (const roles of [['careful', 'bold'], ['bold', 'careful'], ['owner', 'careful'], ['careful']]) {
    t.notOk(access.can(roles, 'system', 'reboot', 'viewer'), roles.join())
    t.equal(access.can(roles, 'wifi', 'scan', 'viewer'), roles.length === 2)
  }
})

void t.test('an asterisk stands for any run of characters and everything else for itself', async (t) => {
  const cases: Array<[pattern: string, yes: string[], no: string[]]> = [
    ['*', ['a', 'a:b'], []],
    ['m:*', ['', 'a', 'a:b'], []],
    ['m:a', ['a'], ['', 'aa', 'ba']],
    ['m:a*', ['a', 'ab'], ['ba']],
    ['m:*a', ['a', 'ba', 'aba'], ['ab']],
    ['m:a*a', ['aa', 'aba'], ['a', 'ab']],
    ['m:a*b*c', ['abc', 'a-b-c', 'abbc', 'abcbc'], ['ac', 'acb', 'bc']],
    ['m:a*bc*c', ['abcc', 'abcbcc'], ['abc', 'ac']],
    ['m:**a', ['a', 'ba'], ['b']],
    ['m:a.c', ['a.c'], ['abc']],
    ['m:[a-z]+', ['[a-z]+'], ['a']],
    ['', [], ['a', '']],
    ['a', [], ['a']],
  ]
  for (const [pattern, yes, no] of cases) {
    for (const name of yes) t.ok(grants(pattern)('m', name), `${pattern} grants ${name}`)
    for (const name of no) t.notOk(grants(pattern)('m', name), `${pattern} does not grant ${name}`)
  }
})

void t.test('a pattern of many asterisks costs no more than the length of the name', async (t) => {
  const may = grants(`m:${'*a'.repeat(200)}*b`)
  const start = performance.now()
  t.notOk(may('m', 'a'.repeat(100_000)))
  t.ok(performance.now() - start < 1000)
})

void t.test('decisions are remembered apart for each mark, and forgotten before they are too many', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const access = new Access({ users: { 1: 'operator' }, roles: {} })
  const roles = access.rolesOf('telegram:1')
  collect()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 200_000; i++) access.can(roles, 'm', `a-name-that-takes-some-room-${i}`, 'operator')
  collect()
  t.ok(process.memoryUsage().heapUsed - before < 5_000_000)
  const decide = () => marks.map((mark) => access.can(roles, 'm', 'same', mark))
  t.strictSame(
    [decide(), decide()],
    [
      [true, true, false],
      [true, true, false],
    ],
  )
})
