import { spawn } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { close, open } from 'node:inspector'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ignoreInspectorSignal, refuseInspector } from '../../core/inspector.ts'
import { Place, Program } from '../cli/daemon.ts'

void t.test('an open inspector is refused, unless somebody asked for it or loaded code that may have', (t) => {
  refuseInspector([])
  open(0, '127.0.0.1')
  t.teardown(close)
  t.throws(() => refuseInspector(['--max-old-space-size=64', '']), {
    exitCode: 70,
    message: /A signal opened the inspector/,
  })
  for (const option of ['--inspect', '--inspect-brk=0', '"--import=debugger.js"', '--require', '-r']) refuseInspector([option])
  t.end()
})

void t.test('the signal finds a listener', (t) => {
  const before = process.listenerCount('SIGUSR1')
  ignoreInspectorSignal()
  t.equal(process.listenerCount('SIGUSR1'), before + 1)
  t.end()
})

/** Where a process listens: local addresses as /proc/net/tcp and tcp6 have them. */
async function listening(pid: number | undefined): Promise<string[]> {
  const links = (await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''))
  const sockets = new Set((await Promise.all(links)).map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]))
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')))
  const rows = tables.flatMap((table) => table.split('\n').map((line) => line.trim().split(/\s+/)))
  return rows.filter((row) => row[3] === '0A' && sockets.has(row[9])).map((row) => String(row[1]))
}

void t.test('no signal opens the inspector, and nobody but who asked for it has one', async (t) => {
  const place = await Place.create(t)
  const { program, ...daemon } = await place.start()
  const before = await listening(program.child.pid)
  t.equal(before.length, 1)
  for (let nth = 0; nth < 20; nth++) {
    program.child.kill('SIGUSR1')
    t.equal((await fetch(`${daemon.url}/healthz`)).status, 200)
  }
  t.same(await listening(program.child.pid), before)
  await program.kill('SIGTERM')
  t.notMatch(program.stderr, 'Debugger')

  const developers = await place.start([], { NODE_OPTIONS: '--inspect=0' })
  t.equal((await listening(developers.program.child.pid)).length, 2)
  await developers.program.kill('SIGTERM')
})

void t.test('a signal that comes before it can be ignored ends it rather than open the inspector', async (t) => {
  const place = await Place.create(t)
  // Without tap's hooks: whoever loads code first may open it.
  const command = ['-u', 'NODE_OPTIONS', process.execPath, fileURLToPath(new URL('../../dist/cli.js', import.meta.url)), 'start']
  const program = new Program(spawn('env', command, { env: place.env }))
  t.teardown(() => program.kill('SIGKILL'))
  const { pid } = program.child
  // Bit 9: from now on Node has a handler for the signal, its own at first.
  const isArmed = async () =>
    Number.parseInt((await readFile(`/proc/${pid}/status`, 'utf8')).match(/SigCgt:\s*(\w+)/)?.[1] ?? '', 16) & 0x200
  while (!(await isArmed()));
  process.kill(pid as number, 'SIGUSR1')
  await program.says(/"is ready"/).catch(() => undefined)
  // The signal came later than that, or its inspector is seen in a while and ends it.
  const isOpen = async () => (await listening(pid).catch(() => [])).length > 1
  while (program.child.exitCode === null && (await isOpen()));
  if (program.child.exitCode === null) return
  t.equal(program.child.exitCode, 70)
  t.match(program.stderr, /A signal opened the inspector of this process while it started/)
})
