import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Saver } from '../../../core/auth/saver.ts'

/** A saver of `state.text`, its file, and the problems it told. */
function setUp(t: Test) {
  const file = join(t.testdir({ data: {} }), 'data', 'kept.json')
  const state = { text: 'one', reads: 0 }
  const problems: string[] = []
  const content = () => {
    state.reads++
    return state.text
  }
  const saver = new Saver({ file, content, onProblem: (message) => void problems.push(message) })
  t.teardown(() => saver.close())
  return { file, state, problems, saver, read: () => readFileSync(file, 'utf8') }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate()
}

/** Runs Node's timers by hand. */
function holdTime(t: Test): (ms: number) => void {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  return (ms) => mock.timers.tick(ms)
}

void t.test('what was asked for is written in time and once, for its owner alone', async (t) => {
  const pass = holdTime(t)
  const { file, state, saver, read } = setUp(t)
  for (let i = 0; i < 10; i++) saver.save(100)
  state.text = 'two'
  pass(99)
  t.equal(state.reads, 0)
  pass(1)
  await saver.flush()
  t.equal(read(), 'two')
  t.equal(state.reads, 1)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.strictSame(readdirSync(dirname(file)), ['kept.json'], 'and nothing is left beside it')
})

void t.test('the soonest wish counts', async (t) => {
  const pass = holdTime(t)
  const { state, saver } = setUp(t)
  saver.save(60_000)
  saver.save(100)
  saver.save(60_000)
  pass(100)
  await saver.flush()
  t.equal(state.reads, 1)
  saver.save(60_000)
  pass(59_999)
  t.equal(state.reads, 1)
  pass(1)
  t.equal(state.reads, 2)
})

void t.test('one write runs at a time, and a change during it is written after it', async (t) => {
  const pass = holdTime(t)
  const { state, saver, read } = setUp(t)
  saver.save(100)
  const first = saver.flush()
  t.equal(state.reads, 1)
  state.text = 'two'
  saver.save(100)
  pass(1000)
  t.equal(state.reads, 1, 'not while the first runs')
  await Promise.all([first, saver.flush(), saver.flush()])
  t.equal(state.reads, 2)
  t.equal(read(), 'two')
  saver.save(100)
  const third = saver.flush()
  saver.save(100)
  await third
  pass(100)
  t.equal(state.reads, 4, 'and without a flush when its time has come')
})

void t.test('nothing to write means no write and no timer, and a timer keeps no process alive', async (t) => {
  const { state, saver } = setUp(t)
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  await saver.flush()
  t.equal(state.reads, 0)
  saver.save(60_000)
  t.equal(timers(), before)
})

void t.test('after close nothing is written by itself', async (t) => {
  const pass = holdTime(t)
  const { state, saver, read } = setUp(t)
  saver.save(100)
  await saver.close()
  t.equal(read(), 'one', 'what was left is written')
  saver.save(100)
  pass(100_000)
  t.equal(state.reads, 1)
})

void t.test(
  'a directory that is away is reported once, tried again ever more rarely, and reported when it is back',
  async (t) => {
    const pass = holdTime(t)
    const { file, state, problems, saver, read } = setUp(t)
    const directory = dirname(file)
    rmSync(directory, { recursive: true })
    writeFileSync(directory, 'a file in its place')
    saver.save(100)
    await saver.flush()
    t.match(problems, [/kept\.json cannot be written \(ENOTDIR\)/])
    state.text = 'two'
    saver.save(100)
    for (const wait of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]) {
      const { reads } = state
      let waited = 0
      await until(() => {
        pass(5)
        waited += 5
        return state.reads > reads
      })
      t.ok(waited >= wait, `${waited} ms, at least ${wait}`)
    }
    await saver.flush()
    const { reads } = state
    t.equal(problems.length, 1)
    rmSync(directory)
    mkdirSync(directory)
    pass(60_000)
    await saver.flush()
    t.equal(read(), 'two')
    t.match(problems[1], /can be written again/)
    saver.save(100)
    pass(100)
    await saver.flush()
    t.equal(problems.length, 2)
    t.equal(state.reads, reads + 2, 'and after that wishes count again')
  },
)

void t.test('a disk that fills up in the middle of a write leaves the good file as it was', async (t) => {
  const { file, state, problems, saver, read } = setUp(t)
  saver.save(100)
  await saver.flush()
  // The kernel cuts a write at the greatest file size just as at the end of the disk: what fits is written, and the count is short.
  const limit = (bytes: string) => execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`])
  const ignore = () => {}
  process.on('SIGXFSZ', ignore)
  limit('8192')
  t.teardown(() => {
    limit('unlimited')
    process.off('SIGXFSZ', ignore)
  })
  state.text = 'x'.repeat(100_000)
  saver.save(100)
  await saver.flush()
  t.match(problems, [/cannot be written \(EFBIG\)/])
  t.equal(read(), 'one')
  t.strictSame(readdirSync(dirname(file)), ['kept.json'])
  limit('unlimited')
  await saver.flush()
  t.equal(read(), state.text)
  t.equal(problems.length, 2)
})

void t.test('content that cannot be made is a problem like any other, and the next write is not lost', async (t) => {
  const { file, problems } = setUp(t)
  let isBroken = true
  const content = () => {
    if (isBroken) throw new Error('no content')
    return 'good'
  }
  const saver = new Saver({ file, content, onProblem: (message) => void problems.push(message) })
  saver.save(100)
  await saver.flush()
  t.match(problems, [/no content/])
  isBroken = false
  await saver.close()
  t.equal(readFileSync(file, 'utf8'), 'good')
})

void t.test('a change during a write that fails waits for the next try', async (t) => {
  const pass = holdTime(t)
  const { file, state, saver } = setUp(t)
  rmSync(dirname(file), { recursive: true })
  saver.save(100)
  const first = saver.flush()
  saver.save(100)
  pass(100)
  await first
  await setImmediate()
  t.equal(state.reads, 1)
  pass(1000)
  t.equal(state.reads, 2)
})
