import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { createExec, searchPath } from '../../../core/process/exec.ts'

const exec = createExec(['sh', 'env', 'printf', 'sleep', 'no-such-program', '/bin/sh'])
const sh = (script: string, options?: Parameters<typeof exec.run>[2]) => exec.run('sh', ['-c', script], options)

/** Resolves when a process of ours is gone, not even a zombie. */
async function gone(pid: string | undefined): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Resolves when an orphan is dead; burying it is init's work. */
async function dead(pid: string | undefined): Promise<void> {
  const state = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2]
  while (existsSync(`/proc/${pid}`) && state() !== 'Z') await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Where a script can leave the ids of its processes; resolves when it has. */
function note(t: Test) {
  const file = join(t.testdir({}), 'pids')
  const pids = async () => {
    while (!existsSync(file) || !readFileSync(file, 'utf8').endsWith('\n')) await new Promise((resolve) => setTimeout(resolve, 5))
    return readFileSync(file, 'utf8').trim().split(' ')
  }
  return { file, pids }
}

void t.test('gives exit code, output and error output, read as UTF-8', async (t) => {
  t.same(await sh('printf "gr\\303\\274n \\377"; printf oops >&2; exit 3'), {
    exitCode: 3,
    stdout: 'grün \ufffd',
    stderr: 'oops',
  })
  t.equal((await sh('kill -TERM $$')).exitCode, 143, 'a signal is told as a shell does')
})

void t.test('arguments reach the program as they are, past any shell', async (t) => {
  const args = ['%s|', '$HOME', '; ls', "'", '', '*']
  t.equal((await exec.run('printf', args)).stdout, "$HOME|; ls|'||*|")
  await t.rejects(exec.run('printf', ['a\0b']), { code: 'ERR_INVALID_ARG_VALUE' })
})

void t.test('a program that the contract does not name is not started, nor one with a path', async (t) => {
  for (const program of ['ls', '/bin/sh', '', '../bin/sh']) {
    await t.rejects(exec.run(program, []), { code: 'EPERM', message: `The program ${program} is not named in the contract.` })
  }
})

void t.test('a program that is not installed, or is none, is told by a code', async (t) => {
  await t.rejects(exec.run('no-such-program', []), { code: 'ENOENT', message: 'The program no-such-program is not installed.' })
  const bin = t.testdir({ broken: 'no program' })
  chmodSync(join(bin, 'broken'), 0o755)
  const { PATH } = process.env
  t.teardown(() => (process.env.PATH = PATH))
  process.env.PATH = bin
  writeFileSync(join(bin, 'denied'), '')
  await t.rejects(createExec(['denied']).run('denied', []), {
    code: 'EACCES',
    message: 'The program denied could not be started (EACCES).',
  })
  await t.rejects(exec.run('printf', ['x'.repeat(200_000)]), { code: 'E2BIG' })
})

void t.test('the environment is PATH, HOME and a UTF-8 locale: no secret is in it', async (t) => {
  process.env.TELEGRAM_BOT_TOKEN = 'planted'
  t.teardown(() => delete process.env.TELEGRAM_BOT_TOKEN)
  const { stdout } = await exec.run('env', [])
  const environment = Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=', 2)),
  )
  // Node hands coverage's variable on by itself, and tap writes its own into whatever is started
  for (const name of Object.keys(environment))
    if (/^(_TAPJS_.*|NODE_OPTIONS|NODE_V8_COVERAGE)$/.test(name)) delete environment[name]
  t.same(environment, { PATH: searchPath().join(':'), HOME: process.env.HOME, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8' })
  t.notMatch(stdout, /planted/)
})

void t.test('where the contract needs the session of the user, a program is told where that is', async (t) => {
  const { XDG_RUNTIME_DIR } = process.env
  t.teardown(() => {
    if (XDG_RUNTIME_DIR === undefined) delete process.env.XDG_RUNTIME_DIR
    else process.env.XDG_RUNTIME_DIR = XDG_RUNTIME_DIR
  })
  const told = async (needs?: { session: true }) =>
    /^XDG_RUNTIME_DIR=(.*)$/m.exec((await createExec(['env'], needs).run('env', [])).stdout)?.[1]
  process.env.XDG_RUNTIME_DIR = '/run/somewhere'
  t.equal(await told({ session: true }), '/run/somewhere')
  t.equal(await told(), undefined)
  process.env.XDG_RUNTIME_DIR = 'no/place'
  t.equal(await told({ session: true }), `/run/user/${process.getuid?.()}`)
})

void t.test('PATH is that of the host, absolute directories only, and the usual ones after them', (t) => {
  t.same(searchPath('/opt/bin:.::bin:/usr/bin:/opt/bin'), [
    '/opt/bin',
    '/usr/bin',
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/sbin',
    '/bin',
  ])
  t.end()
})

void t.test('a program runs in / with empty input', async (t) => {
  t.equal((await sh('pwd; cat')).stdout, '/\n')
})

/** Prints the descriptors of the shell that runs it, a line each with what it refers to. */
const listDescriptors =
  'n=0; while [ $n -lt 1024 ]; do [ -e /proc/$$/fd/$n ] && echo $n $(readlink /proc/$$/fd/$n); n=$((n+1)); done'

void t.test(
  'a program has no descriptors but its own three: no file, no socket, nothing the host was started with',
  async (t) => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const path = fileURLToPath(import.meta.url)
    const file = openSync(path, 'r')
    t.teardown(() => {
      closeSync(file)
      server.close()
    })
    const sockets = readdirSync('/proc/self/fd').flatMap((fd) => {
      const target = existsSync(`/proc/self/fd/${fd}`) ? readlinkSync(`/proc/self/fd/${fd}`) : ''
      return target.startsWith('socket:') ? [target] : []
    })
    t.not(sockets.length, 0)
    const check = (listing: string) => {
      const lines = listing.trim().split('\n')
      // Node marks what it is started with as not to be inherited, up to the first gap above 15; a test runner's shell may leave more
      t.same(
        lines.map((line) => Number.parseInt(line, 10)).filter((fd) => fd < 16),
        [0, 1, 2],
      )
      for (const foreign of [path, ...sockets]) t.notOk(lines.some((line) => line.endsWith(foreign)))
    }
    check((await sh(listDescriptors)).stdout)

    const module = JSON.stringify(new URL('../../../core/process/exec.ts', import.meta.url).href)
    const script = `import { createExec } from ${module}
    console.log((await createExec(['sh']).run('sh', ['-c', ${JSON.stringify(listDescriptors)}])).stdout)`
    const args = ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script]
    const { stdout, status } = spawnSync(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit', file, 'ignore', file],
      encoding: 'utf8',
    })
    t.equal(status, 0)
    check(stdout)
  },
)

void t.test('a program is killed at its deadline with all it started, and leaves no zombie', async (t) => {
  const { file, pids } = note(t)
  const run = sh(`sleep 60 & echo $$ $! > ${file}; wait`, { timeoutMs: 300 })
  await t.rejects(run, { code: 'ETIMEDOUT', message: 'The program sh was killed: it took more than 300 ms.' })
  const [parent, child] = await pids()
  await Promise.all([gone(parent), dead(child)])
})

void t.test('a program is killed with all it started when its signal is aborted', async (t) => {
  const { file, pids } = note(t)
  const abort = new AbortController()
  const run = t.rejects(sh(`sleep 60 & echo $$ $! > ${file}; wait`, { signal: abort.signal }), { code: 'ABORT_ERR' })
  const [parent, child] = await pids()
  abort.abort()
  await run
  await Promise.all([gone(parent), dead(child)])
  await t.rejects(sh('true', { signal: abort.signal }), {
    code: 'ABORT_ERR',
    message: 'The program sh was not started: aborted.',
  })
})

void t.test('a program that writes too much is killed; both outputs count', async (t) => {
  const error = { code: 'EFBIG', message: 'The program sh was killed: it wrote more than 1000 bytes.' }
  await t.rejects(sh('while :; do echo overflow; done', { maxBytes: 1000 }), error)
  await t.rejects(sh('printf %0600d 0; printf %0600d 0 >&2; sleep 60', { maxBytes: 1000 }), error)
  t.equal((await sh('printf %01000d 0', { maxBytes: 1000 })).stdout.length, 1000)
})

void t.test('what a program left running ends with it, and its output is not waited for', async (t) => {
  const { file, pids } = note(t)
  t.equal((await sh(`sleep 60 & echo $! > ${file}; echo done`)).stdout, 'done\n')
  const [child] = await pids()
  await dead(child)
})

void t.test('a program that got away from its group does not hold up the answer, nor the end of the host', async (t) => {
  const module = JSON.stringify(new URL('../../../core/process/exec.ts', import.meta.url).href)
  const script = `import { createExec } from ${module}
    const run = createExec(['sh']).run('sh', ['-c', 'setsid sleep 20 & sleep 60'], { timeoutMs: 200 })
    await run.catch(({ code }) => console.log(code))`
  const args = ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 15_000 })
  t.equal(stdout, 'ETIMEDOUT\n')
})

void t.test('a run leaves nothing on a signal that lives on', async (t) => {
  const { signal } = new AbortController()
  let listeners = 0
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--
    remove(...args)
  }
  await sh('true', { signal })
  await t.rejects(exec.run('no-such-program', [], { signal }), { code: 'ENOENT' })
  while (listeners > 0) await new Promise(setImmediate)
  t.equal(listeners, 0)
})

/** Starts a script; `said` is its output so far, `says` waits for it. */
async function begin(t: Test, script: string, signal?: AbortSignal) {
  let said = ''
  let check = () => {}
  const onStdout = (piece: Uint8Array) => {
    said += Buffer.from(piece).toString()
    check()
  }
  const program = await exec.start('sh', ['-c', script], { onStdout, ...(signal && { signal }) })
  t.teardown(() => program.stop())
  const says = (text: string) =>
    new Promise<void>((resolve) => {
      check = () => {
        if (said.includes(text)) resolve()
      }
      check()
    })
  return { ...program, says, said: () => said }
}

void t.test('a program that was started says what it says as it comes, and takes input until that is closed', async (t) => {
  const cat = await begin(t, 'echo ready; cat; echo oops >&2; exit 3')
  await cat.says('ready\n')
  await cat.write('one\n')
  await cat.says('one\n')
  await cat.write(Buffer.from('two\n'))
  cat.end()
  t.same(await cat.ended, { exitCode: 3, stderr: 'oops\n' })
  t.equal(cat.said(), 'ready\none\ntwo\n')
  await t.rejects(cat.write('three'), { code: 'EPIPE', message: 'The program sh takes no more input.' })
  await cat.stop()
})

void t.test(
  'a program that was started is killed with all it started: when it is stopped, when its signal is aborted',
  async (t) => {
    const abort = new AbortController()
    for (const end of ['stop', 'abort'] as const) {
      const { file, pids } = note(t)
      const program = await begin(t, `sleep 60 & echo $$ $! > ${file}; wait`, abort.signal)
      const [parent, child] = await pids()
      if (end === 'stop') await program.stop()
      else abort.abort()
      t.same(await program.ended, { exitCode: 137, stderr: '' })
      await Promise.all([gone(parent), dead(child)])
    }
    await t.rejects(exec.start('sh', [], { signal: abort.signal }), { code: 'ABORT_ERR' })
  },
)

void t.test('what a started program left running ends with it; what got away does not hold up the news', async (t) => {
  const { file, pids } = note(t)
  const left = await begin(t, `sleep 60 & echo $! > ${file}; setsid sleep 20 & echo done`)
  t.same(await left.ended, { exitCode: 0, stderr: '' })
  t.equal(left.said(), 'done\n')
  const [child] = await pids()
  await dead(child)
})

void t.test(
  'a started program that reads nothing is not given without end, and of its complaints the last are kept',
  async (t) => {
    const deaf = await begin(t, 'head -c 100000 /dev/zero | tr "\\0" x >&2; echo last >&2; echo ready; sleep 60')
    await deaf.says('ready')
    const piece = Buffer.alloc(700_000)
    // Of what is on its way when it ends nobody knows whether it was read.
    const first = deaf.write(piece).catch(() => undefined)
    const waiting = t.rejects(deaf.write(piece), { code: 'EPIPE' })
    await t.rejects(deaf.write('more'), { code: 'ENOBUFS', message: 'The program sh does not read its input.' })
    await deaf.stop()
    await Promise.all([first, waiting])
    const { stderr } = await deaf.ended
    t.equal(stderr.length, 8192)
    t.match(stderr, /^x+last\n$/)
  },
)

void t.test('a program that cannot be started is told by a code, and leaves nothing on its signal', async (t) => {
  await t.rejects(exec.start('no-such-program', []), { code: 'ENOENT', message: 'The program no-such-program is not installed.' })
  await t.rejects(exec.start('ls', []), { code: 'EPERM' })
  await t.rejects(exec.start('printf', ['x'.repeat(200_000)]), { code: 'E2BIG' })
  await t.rejects(exec.start('no-such-program', [], { signal: AbortSignal.abort() }), { code: 'ABORT_ERR' })
})

void t.test('a process that runs a program ends when the program has: no timer is left', async (t) => {
  const module = JSON.stringify(new URL('../../../core/process/exec.ts', import.meta.url).href)
  const script = `import { createExec } from ${module}
    await createExec(['sh']).run('sh', ['-c', 'exit 0'], { timeoutMs: 60_000 })
    await createExec(['none']).run('none', [], { timeoutMs: 60_000 }).catch(() => undefined)`
  const args = ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script]
  await t.resolves(promisify(execFile)(process.execPath, args, { timeout: 30_000 }))
})
