import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { MountedContract } from '../../core/plugin/host-control.ts'
import { coreContract } from '../../core/wire/core-contract.ts'
import { breakout, hostile, odd } from '../../plugins/contract/test/hostile.ts'
import { eventMaps } from '../../scripts/cli/types/event-maps.ts'
import { hardwareOff, Place, Program } from './daemon.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const modules = join(root, 'node_modules')

const lamp = {
  commands: {
    'lamp:set': {
      description: 'Switches it.',
      payload: {
        type: 'object',
        properties: { on: { type: 'boolean' }, colour: { enum: ['red', 'green'] } },
        required: ['on'],
        additionalProperties: false,
      },
      result: { type: 'object', properties: { was: { type: 'boolean' } }, required: ['was'] },
      role: 'operator',
    },
    'lamp:off': {},
  },
  events: { 'lamp:state': { payload: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] } } },
  errors: { LAMP_STUCK: 'It is stuck.' },
  namespaces: { media: { events: { 'lamp:frame': { payload: { type: 'string' } } } } },
}
const lampCode = `
  let on = false
  ctx.handle('lamp:set', (payload) => { const was = on; on = payload.on; ctx.publish('lamp:state', { on }); return { was } })
  ctx.handle('lamp:off', () => { throw ctx.error('LAMP_STUCK') })`

const head = `import { io, type Socket } from 'socket.io-client'
import type { ClientToServerEvents, Namespaces, ServerToClientEvents } from './patchbay.js'
const auth = { sessionToken: process.env.TOKEN }
const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(process.env.URL ?? '', { auth, reconnection: false })
`
const right = `${head}
type Media = Namespaces['/media']
export const watch = (media: Socket<Media['serverToClient'], Media['clientToServer']>) =>
  media.on('lamp:frame', (frame) => frame.toUpperCase())
socket.on('connect_error', (error) => console.log(error.message))
socket.once('auth:success', ({ user }) => console.log('hello', user.firstName))
socket.on('error', ({ code, module, id = '' }) => console.log('error', module, code, id.length > 0))
const told = new Promise<boolean>((resolve) => socket.once('lamp:state', ({ on }) => resolve(on)))
const joined = await socket.emitWithAck('module:subscribe', { module: 'lamp' })
if (joined.success) console.log(joined.state === 'running', joined.reason)
const answer = await socket.emitWithAck('lamp:set', { on: true, colour: 'red' })
if (answer.success) console.log('was', answer.was)
else console.log(answer.code, answer.error, answer.retryAfter?.toFixed())
console.log('told', await told)
const refused = await socket.emitWithAck('lamp:off')
if (!refused.success && refused.code === 'LAMP_STUCK') console.log('stuck')
socket.emit('lamp:set', { on: false }, (again) => {
  console.log('again', again.success && again.was)
  socket.close()
})
`
/** What must not compile, with what the compiler says of it. */
const wrong: Readonly<Record<string, readonly [string, RegExp]>> = {
  payload: ["await socket.emitWithAck('lamp:set', { on: 'yes' })", /'string' is not assignable to type 'boolean'/],
  choice: ["await socket.emitWithAck('lamp:set', { on: true, colour: 'blue' })", /"blue"/],
  extra: ["await socket.emitWithAck('lamp:set', { on: true, of: 1 })", /'of' does not exist/],
  command: ["await socket.emitWithAck('lamp:sett', { on: true })", /"lamp:sett"/],
  event: ["socket.on('lamp:stat', () => undefined)", /"lamp:stat"/],
  value: ["socket.on('lamp:state', ({ off }) => off)", /'off' does not exist/],
  result: [
    "const a = await socket.emitWithAck('lamp:set', { on: true })\nif (a.success) console.log(a.is)",
    /'is' does not exist/,
  ],
  unchecked: [
    "const a = await socket.emitWithAck('lamp:set', { on: true })\nconsole.log(a.was)",
    /'was' does not exist on type 'Failure'/,
  ],
}

/** Compiles what is in a directory, and returns what the compiler complains about, by file. */
async function compile(dir: string): Promise<ReadonlyMap<string, string>> {
  const compilerOptions = {
    strict: true,
    module: 'nodenext',
    target: 'es2022',
    noEmit: true,
    skipLibCheck: false,
    types: ['node'],
  }
  await writeFile(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  await writeFile(join(dir, 'package.json'), '{ "type": "module" }')
  await symlink(modules, join(dir, 'node_modules'))
  const args = ['-u', 'NODE_OPTIONS', join(modules, '.bin/tsc'), '-p', dir, '--pretty', 'false']
  const said = await promisify(execFile)('env', args, { cwd: dir }).catch((error: { stdout: string }) => error)
  const errors = new Map<string, string>()
  for (const [, file = '', message = ''] of said.stdout.matchAll(/^(\S+?)\(\d+,\d+\): (error .*(?:\n\s+.*)*)/gm))
    errors.set(file, `${errors.get(file) ?? ''}${message}\n`)
  return errors
}

async function said(place: Place, ...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const program = place.run(args)
  return { code: await program.exited, out: program.stdout, err: program.stderr }
}

void t.test('a typed socket.io-client program compiles against the types and runs; wrong ones do not compile', async (t) => {
  const config = { plugins: { plugins: { ...hardwareOff, lamp: { enabled: true } } } }
  const place = await Place.create(t, config)
  await place.addPlugin('lamp', lamp, lampCode)
  t.match(await said(place, 'types'), {
    code: 1,
    out: '',
    err: /^No daemon runs with the data directory \S+\. Start it: npx patchbay start\n$/,
  })

  const daemon = await place.start()
  const file = join(place.dir, 'patchbay.d.ts')
  t.match(await said(place, 'types', '--output', file), { code: 0, out: '', err: `Wrote ${file}.\n` })
  const text = await readFile(file, 'utf8')
  t.equal((await said(place, 'types')).out, text, 'without a file it is printed')
  t.match(text, '/** Switches it. Role: operator. At most 60 in 10 s, answered within 10 s. */')
  t.match(await said(place, 'types', '--ouput', file), { code: 1, err: /Unknown option '--ouput'/ })

  await writeFile(join(place.dir, 'right.ts'), right)
  for (const [name, [code]] of Object.entries(wrong)) await writeFile(join(place.dir, `${name}.ts`), `${head}${code}\n`)
  const errors = await compile(place.dir)
  t.equal(errors.get('right.ts'), undefined)
  t.equal(errors.get('patchbay.d.ts'), undefined)
  for (const [name, [, error]] of Object.entries(wrong)) t.match(errors.get(`${name}.ts`), error, name)

  const { sessionToken } = await daemon.client()
  const strip = `--import=${join(root, 'scripts/strip-types.mjs')}`
  const env = { PATH: process.env.PATH, URL: daemon.url, TOKEN: sessionToken }
  const program = new Program(spawn(process.execPath, [strip, join(place.dir, 'right.ts')], { env }))
  t.teardown(() => program.kill('SIGKILL'))
  t.equal(await program.exited, 0, program.stderr)
  const lines = [
    'hello Test 1000',
    'true undefined',
    'was false',
    'told true',
    'stuck',
    'again true',
    'error lamp LAMP_STUCK true',
  ]
  t.same(program.stdout.trim().split('\n').sort(), lines.sort(), 'ack and error may overtake each other')
})

void t.test('no text of a plugin ends a comment or a string of the types', async (t) => {
  const mounted = { state: 'disabled', version: '1', builtin: false, namespace: '/', policy: 'patchbay' } as const
  const contracts: MountedContract[] = [hostile, odd].map((contract) => ({ ...mounted, id: contract.id, contract }))
  const text = await eventMaps(contracts, coreContract)
  t.match(text, 'export interface HostileToStringPayload {')
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-types-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  await writeFile(join(dir, 'hostile.d.ts'), text)
  t.same([...(await compile(dir))], [])
  // Whatever is neither comment nor string is ours.
  const code = text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\/\/.*/g, '')
    .replace(/"(\\.|[^"\\\n])*"/g, '""')
  t.notMatch(code, /owned|script|onerror/)
  t.match(code, /""\?: \{\n\s*toString\?: number/, 'a name that would break out is a string')
  t.match(text, JSON.stringify(breakout), 'and is still that name')
  const words = new Set(code.match(/\b(export|declare|import|const|function|interface|type)\b.*/g))
  t.same(
    [...words].filter((line) => !/^(export (interface|type) \w+|type Success\b|(tsType|type)\??: )/.test(line)),
    [],
  )
})

void t.test('whoever may not reach the daemon writes no file', async (t) => {
  const place = await Place.create(t)
  const file = join(place.dir, 'patchbay.d.ts')
  t.match(await said(place, 'types', '-o', file), { code: 1, err: /^No daemon runs/ })
  await t.rejects(readFile(file), { code: 'ENOENT' })
})
