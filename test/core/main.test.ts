import { spawn } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { botToken, dist, hardwareOff, Place, Program, reached, source } from '../cli/daemon.ts'

const viewer = { role: 'viewer' }

void t.test('an exception in a plugin fails that plugin alone', async (t) => {
  const bombs = {
    timer: ["setTimeout(() => { throw new Error('tick') }, 1)", 'tick'],
    promise: ["Promise.reject(new Error('tock'))", 'tock'],
    text: ["setTimeout(() => { throw 'a text' }, 1)", 'a text'],
    nothing: ['Promise.reject()', 'no Error, but of type undefined'],
    // Node's own error, in which no line of the plugin's is to be seen.
    socket: ["import('node:net').then(({ connect }) => connect('/nowhere'))", 'connect ENOENT /nowhere'],
    trap: [
      'setTimeout(() => { throw { get stack() { throw 1 }, get message() { throw 2 } } }, 1)',
      'no Error, but of type symbol',
    ],
  }
  const entry = [...Object.keys(bombs), 'bystander'].map((id) => [id, { enabled: true, runIn: 'host' }])
  const place = await Place.create(t, { plugins: { plugins: Object.fromEntries(entry) } })
  for (const [id, [code]] of Object.entries(bombs))
    await place.addPlugin(id, { commands: { [`${id}:go`]: viewer } }, `ctx.handle('${id}:go', () => void ${code})`)
  await place.addPlugin('bystander', {}, '')
  const daemon = await place.start()
  const client = await daemon.client()
  const { since } = await reached(client, 'bystander', 'running')
  for (const [id, [, message]] of Object.entries(bombs)) {
    await reached(client, id, 'running')
    await client.ask(`${id}:go`)
    t.match(await reached(client, id, 'failed'), { reason: `An exception nobody caught: ${message}` })
  }
  // Each is tried again, in the second that the others fail in.
  for (const id of Object.keys(bombs)) await reached(client, id, 'running')
  t.equal((await reached(client, 'bystander', 'running')).since, since)
  t.ok(client.socket.connected)
})

void t.test("an exception that is nobody's ends it with 70, and the sessions are saved", async (t) => {
  const place = await Place.create(t, { plugins: { plugins: { stranger: { enabled: true, runIn: 'host' } } } }, source)
  // The host was the first to listen to this signal: neither a stack nor a context tells whose exception it is.
  const code =
    "process.on('SIGUSR1', () => { throw 'a text' }); ctx.handle('stranger:go', () => process.kill(process.pid, 'SIGUSR1'))"
  await place.addPlugin('stranger', { commands: { 'stranger:go': viewer } }, code)
  const daemon = await place.start()
  const client = await daemon.client()
  await reached(client, 'stranger', 'running')
  await client.ask('stranger:go')
  t.equal(await daemon.program.exited, 70)
  t.match(daemon.program.stdout, /"level":60.*an exception nobody caught/)
  const again = await place.start()
  await again.client(client.sessionToken)
  t.equal(await again.program.kill('SIGTERM'), 0)
})

void t.test('a wrong configuration ends it with 78 and a sentence with file and line, without a stack', async (t) => {
  const place = await Place.create(t, { host: '{\n  "prot": 80\n}' }, source)
  const program = place.run(['start'])
  t.equal(await program.exited, 78)
  t.match(program.stderr, /host\.json:2:\d+: "prot" is not a setting/)
  t.notMatch(program.stderr, /\n {4}at /)

  const secret = place.run(['start'], { TELEGRAM_BOT_TOKEN: 'not-a-token' })
  t.equal(await secret.exited, 78)
  t.notMatch(secret.stderr, /not-a-token/)
})

void t.test('a second daemon on the same data ends with 75; after kill -9 the next one starts and knows everybody', async (t) => {
  const place = await Place.create(t)
  const first = await place.start()
  const second = place.run(['start'])
  t.equal(await second.exited, 75)
  t.match(second.stderr, new RegExp(`^Patchbay runs already .*process ${first.program.child.pid}\\). Stop it first\\.\n$`))

  const { sessionToken } = await first.client()
  const saved = async () =>
    (await readFile(join(place.dataDir, 'sessions.json'), 'utf8').catch(() => '')).includes('telegram:1000')
  while (!(await saved())) await new Promise((resolve) => setTimeout(resolve, 10))
  t.equal(await first.program.kill('SIGKILL'), 'SIGKILL')
  const third = await place.start()
  await third.client(sessionToken)
  t.equal(await third.program.kill('SIGINT'), 0)
})

void t.test('a signal ends it within 5 s, even if a plugin does not stop, and the sessions are saved', async (t) => {
  const place = await Place.create(t, { plugins: { plugins: { stuck: { enabled: true } } } })
  await place.addPlugin(
    'stuck',
    { commands: { 'stuck:ask': viewer } },
    `ctx.handle('stuck:ask', () => 0); ctx.own(() => new Promise(() => {}))`,
  )
  const daemon = await place.start()
  const client = await daemon.client()
  await reached(client, 'stuck', 'running')
  const begun = performance.now()
  t.equal(await daemon.program.kill('SIGTERM'), 0)
  const took = performance.now() - begun
  t.ok(took > 3000 && took < 5000, `${took} ms`)
  t.match(daemon.program.stdout, /"signal":"SIGTERM","msg":"is stopping"/)
  const again = await place.start()
  await again.client(client.sessionToken)
})

void t.test('the one-time link is printed on a terminal alone, or where it is asked for, and never in the log', async (t) => {
  const place = await Place.create(t, { access: {} }, source)
  const link = /http:\/\/127\.0\.0\.1:\d+\/login#[\w-]+/
  const silent = await place.start()
  await silent.program.says(/No owner is configured\. For a link to log in run: npx patchbay login/)
  t.notMatch(silent.program.stdout + silent.program.stderr, /login#/)
  await silent.program.kill('SIGTERM')

  const told = await place.start(['--print-link'])
  const [url, code] = (await told.program.says(link)).split('#')
  await told.program.says(/ssh -L (\d+):127\.0\.0\.1:\1 /)
  const post = () =>
    fetch(url as string, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code }) })
  const { sessionToken } = (await (await post()).json()) as { sessionToken: string }
  t.match((await told.client(sessionToken)).sessionToken, /\S{40}/)
  t.equal((await post()).status, 401, 'once')
  t.notOk(told.program.stdout.split('\n').some((line) => line.startsWith('{') && line.includes(code as string)))
  await told.program.kill('SIGTERM')

  const command = `stty cols 400; exec env -u NODE_OPTIONS ${[process.execPath, ...dist].join(' ')} start`
  const terminal = new Program(spawn('script', ['-qec', command, '/dev/null'], { env: { ...place.env, USER: 'pi' } }))
  t.teardown(() => terminal.kill('SIGKILL'))
  await terminal.says(link)
  await terminal.says(/ssh -L \d+:127\.0\.0\.1:\d+ pi@/)
  t.match(terminal.stdout, /\d\d:\d\d:\d\d info {2}patchbay: is ready url=http/, 'and the log is for people there')
})

void t.test('a daemon that has an owner prints no link', async (t) => {
  const place = await Place.create(t)
  const daemon = await place.start(['--print-link'])
  await daemon.client()
  await daemon.program.kill('SIGTERM')
  t.notMatch(daemon.program.stdout + daemon.program.stderr, /login#|No owner/)
})

/** All that it started, and what these did. */
async function childrenOf(pid: string): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`)
  const lists = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8')))
  const children = lists.join(' ').split(/\s+/).filter(Boolean)
  return [...children, ...(await Promise.all(children.map(childrenOf))).flat()]
}

void t.test('the bot token is in no child process and not in the log', async (t) => {
  const place = await Place.create(t, {
    plugins: {
      plugins: { parent: { enabled: true, grants: ['exec:lab-sleep'] }, ...hardwareOff },
    },
    host: { log: { level: 'trace' } },
  })
  const bin = join(place.dir, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'lab-sleep'), '#!/bin/sh\nexec sleep 60\n')
  await chmod(join(bin, 'lab-sleep'), 0o755)
  await place.addPlugin(
    'parent',
    { commands: { 'parent:ask': viewer }, capabilities: { exec: ['lab-sleep'] } },
    `void ctx.exec.run('lab-sleep', [], { signal: ctx.signal }).catch(() => {})
    ctx.handle('parent:ask', async () => {
      const { spawn } = await import('node:child_process')
      const child = spawn('sleep', ['60'])
      ctx.own(() => child.kill())
      ctx.log.info({ token: 'open sesame', deep: { password: 'open sesame' } }, 'the token is ' + '${botToken}')
      throw new Error('${botToken}')
    })`,
  )
  const daemon = await place.start([], { PATH: `${bin}:${place.env.PATH}` })
  const client = await daemon.client()
  await reached(client, 'parent', 'running')
  await client.ask('parent:ask')
  const children = await childrenOf(`${daemon.program.child.pid}`)
  t.equal(children.length, 3, 'the plugin, and what it started by both ways')
  for (const child of children) t.notMatch(await readFile(`/proc/${child}/environ`, 'utf8'), botToken)
  await daemon.program.kill('SIGTERM')
  t.match(daemon.program.stdout, /the token is \[secret\]/)
  t.notMatch(daemon.program.stdout + daemon.program.stderr, botToken)
  t.notMatch(daemon.program.stdout, 'open sesame')
  t.notMatch(daemon.program.stdout, client.sessionToken)
})
