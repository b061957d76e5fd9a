// The daemon's side of sd_notify(3), against a socket of the test's own in the place of systemd's.
import { spawn } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { Daemon, dist, hardwareOff, Place, Program, reached } from './daemon.ts'

const starter = new URL('../../scripts/service/notify-socket', import.meta.url).pathname

/** Says each datagram as a line: line breaks as spaces. Perl, since Node.js has no such sockets. */
const listener = `
  use strict; use Socket; $| = 1;
  socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die $!;
  bind($s, pack_sockaddr_un($ARGV[0])) or die $!;
  print "bound\\n";
  while (defined recv($s, my $text, 4096, 0)) { $text =~ s/\\n/ /g; print "$text\\n" }`

/** In systemd's place: resolves with the next thing it is told that matches. */
async function listen(t: Test, path: string): Promise<(pattern: RegExp) => Promise<string>> {
  const child = spawn('perl', ['-e', listener, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const heard = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) throw new Error(`Nobody told ${String(pattern)}.`)
      if (pattern.test(value)) return value
    }
  }
  await heard(/^bound$/)
  return heard
}

const lamp = `
  ctx.handle('lamp:look', async () => {
    const { spawn } = await import('node:child_process')
    const child = spawn('sleep', ['60'])
    ctx.own(() => child.kill())
    return { pid: child.pid, env: Object.keys(process.env) }
  })
  ctx.handle('lamp:break', () => ctx.fail('the bulb is broken'))`

async function start(t: Test, env: Record<string, string> = {}) {
  const place = await Place.create(t, {
    plugins: { plugins: { lamp: { enabled: true, runIn: 'host' }, ...hardwareOff } },
  })
  const viewer = { role: 'viewer' }
  await place.addPlugin('lamp', { commands: { 'lamp:look': viewer, 'lamp:break': viewer } }, lamp)
  const path = join(place.dir, 'notify')
  const heard = await listen(t, path)
  const command = [starter, 'env', '-u', 'NODE_OPTIONS', process.execPath, ...dist, 'start']
  const program = new Program(spawn('perl', command, { env: { ...place.env, NOTIFY_SOCKET: path, ...env } }))
  t.teardown(() => program.kill('SIGKILL'))
  return { heard, program }
}

async function connect(t: Test, program: Program) {
  const { url } = JSON.parse(await program.says(/^.*"msg":"is ready".*$/m)) as { url: string }
  const client = await new Daemon(program, url, t).client()
  await reached(client, 'lamp', 'running')
  return client
}

void t.test('it is told readiness, the states of the plugins as they change, that the loop turns, and the end', async (t) => {
  const { heard, program } = await start(t, { WATCHDOG_USEC: '300000' })
  await heard(/^READY=1$/)
  await heard(/^STATUS=(\d) of \1 plugins run$/)
  await heard(/^WATCHDOG=1$/)
  await heard(/^WATCHDOG=1$/)
  program.child.kill('SIGTERM')
  await heard(/^STOPPING=1 STATUS=is stopping$/)
  t.equal(await program.exited, 0)
})

void t.test('what the daemon starts can neither speak in its place nor see how', async (t) => {
  const { heard, program } = await start(t, { WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' })
  await heard(/^READY=1$/)
  const client = await connect(t, program)
  const { pid, env } = (await client.ask('lamp:look')) as unknown as { pid: number; env: string[] }
  t.notMatch(env.join(' '), /NOTIFY|WATCHDOG/)
  t.notMatch(await readFile(`/proc/${pid}/environ`, 'utf8'), /NOTIFY|WATCHDOG/)
  const descriptors = (await readdir(`/proc/${pid}/fd`)).filter((fd) => Number(fd) > 2)
  const targets = await Promise.all(descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`)))
  t.same(
    targets.filter((target) => target.startsWith('socket:')),
    [],
  )

  const told = heard(/has failed/)
  await client.ask('lamp:break')
  t.match(await told, /^STATUS=\d of \d plugins run; ([a-z]+ is starting; )*lamp has failed(; [a-z]+ is starting)*$/)
})
