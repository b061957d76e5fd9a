import { chmodSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkNeeds, watchNeeds } from '../../../core/lifecycle/needs.ts'
import type { ToolNeed } from '../../../core/plugin/contract.ts'
import { SystemBus } from '../../../core/process/dbus.ts'

const bus = new SystemBus('unix:path=/nowhere/bus')

/** A directory on PATH, and how a program gets there that writes a line to `started` each time. */
function machine(t: Test) {
  const bin = mkdtempSync(join(tmpdir(), 'patchbay-tools-'))
  const { PATH } = process.env
  process.env.PATH = `${bin}:${PATH}`
  t.teardown(() => {
    process.env.PATH = PATH
    rmSync(bin, { recursive: true })
  })
  const started = join(bin, 'started')
  writeFileSync(started, '')
  const install = (name: string, body: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\necho "$0 $*" >> ${started}\n${body}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const find = async (name: string, need: Partial<ToolNeed> = {}, mayStart = true) => {
    const [finding] = await checkNeeds({ tools: { [name]: { package: 'a-package', ...need } } }, { bus, mayStart })
    return finding
  }
  return { bin, install, find, starts: () => readFileSync(started, 'utf8').split('\n').length - 1 }
}

void t.test('a version is found in whatever the program says, and compared by its numbers', async (t) => {
  const { install, find } = machine(t)
  install('plain', 'echo "plain version 2.10.1 (git 3.0)"')
  install('loud', 'echo "loud version 5.1.6-0+deb12u1 Copyright (c) 2000-2024" >&2; exit 1')
  install('mute', 'exit 1')
  t.match(await find('plain', { version: '2.9' }), { ok: true, sentence: /plain, version 2\.10\.1\.$/, mend: undefined })
  t.match(await find('plain', { version: '2.10.1' }), { ok: true })
  t.match(await find('plain', { version: '2' }), { ok: true })
  t.match(await find('plain', { version: '2.10.2' }), {
    ok: false,
    optional: false,
    sentence: /version 2\.10\.1; 2\.10\.2 is the lowest that will do\.$/,
    mend: 'sudo apt-get update && sudo apt-get install a-package',
  })
  t.match(await find('plain', { version: '10', optional: true }), { ok: false, optional: true })
  t.match(await find('loud', { version: '5.1' }), { ok: true, sentence: /version 5\.1\.6\.$/ })
  t.match(await find('mute', { version: '9' }), { ok: true, sentence: /does not tell its version\.$/ })
})

void t.test('a program is started only for a version that is asked for, and once as long as it is the same', async (t) => {
  const { bin, install, find, starts } = machine(t)
  install('tool', 'echo 1.0')
  await find('tool')
  await find('tool', { version: '1.0' }, false)
  t.equal(starts(), 0)
  t.match(await find('tool', { version: '1.1' }), { ok: false })
  t.match(await find('tool', { version: '1.1' }), { ok: false })
  t.equal(starts(), 1)
  install('tool', 'echo 1.1')
  utimesSync(join(bin, 'tool'), 1, 1)
  t.match(await find('tool', { version: '1.1' }), { ok: true }, 'a new one is asked again')
  t.equal(starts(), 2)
  t.match(readFileSync(join(bin, 'started'), 'utf8'), /\/tool --version\n/)
})

void t.test('a program that hangs at its version is let pass', async (t) => {
  const { install, find } = machine(t)
  install('slow', 'sleep 60')
  t.match(await find('slow', { version: '1.0' }), { ok: true, sentence: /does not tell its version/ })
})

void t.test('a tool that is replaced by a newer one is noticed', async (t) => {
  const { install } = machine(t)
  install('tool', 'echo 1.0')
  const alive = setInterval(() => undefined, 1000)
  const told: string[] = []
  let wake = () => {}
  const release = watchNeeds({ tools: { tool: { package: 'p', version: '1.1' } } }, { bus }, (missing) => {
    told.push(missing.map(({ name }) => name).join(' '))
    wake()
  })
  t.teardown(() => {
    release()
    clearInterval(alive)
  })
  while (told.at(-1) !== 'tool') await new Promise<void>((resolve) => (wake = resolve))
  install('tool', 'echo 1.2')
  while (told.at(-1) !== '') await new Promise<void>((resolve) => (wake = resolve))
  t.same(told, ['tool', ''])
})
