import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { MountedContract } from '../../../core/plugin/host-control.ts'
import { Frames } from '../driver/strangers.ts'

const runtime = 'globalThis.patchbay = 1'

function lab(t: Test) {
  const dir = join(t.testdir({ lamp: { panel: { 'index.js': 'patchbay.panel(() => {})' } } }), 'lamp')
  const problems: string[] = []
  const frames = new Frames(runtime, (id, sentence) => problems.push(`${id}: ${sentence}`))
  const lamp = { id: 'lamp', builtin: false, state: 'running', panel: join(dir, 'panel') } as MountedContract
  return { dir, problems, frames, lamp, file: join(dir, 'panel/index.js') }
}

void t.test(
  'the page of a panel has a name that only its content gives, and a policy that lets nothing but it run',
  async (t) => {
    const { frames, lamp, file } = lab(t)
    await frames.follow([lamp])
    const path = frames.pathOf('lamp') ?? ''
    t.match(path, /^\/panel\/frame\/[\w-]{32}$/)
    const { headers = {}, body } = frames.page(path) ?? {}
    t.match(
      headers['Content-Security-Policy'],
      /^sandbox allow-scripts; default-src 'none'; script-src 'sha256-[^']+' 'sha256-[^']+';.* connect-src 'none';/,
    )
    t.notMatch(headers['Content-Security-Policy'], /allow-same-origin|\*|http:|unsafe-(eval|hashes)/)
    t.match(
      Buffer.from(body ?? []).toString(),
      /<script>globalThis.patchbay = 1<\/script>\n<script type="module">patchbay\.panel/,
    )
    await frames.follow([lamp])
    t.equal(frames.pathOf('lamp'), path)
    writeFileSync(file, 'patchbay.panel(() => 2)')
    await frames.follow([lamp])
    t.not(frames.pathOf('lamp'), path)
    t.equal(frames.page(path), undefined, 'what was there before is gone')
  },
)

void t.test('a script cannot end its own element', async (t) => {
  const { frames, lamp, file, dir } = lab(t)
  writeFileSync(file, 'const a = "</script><script>alert(1)</SCRIPT><!--"')
  writeFileSync(join(dir, 'panel/style.css'), '</style><script>alert(2)</script>')
  await frames.follow([lamp])
  const page = Buffer.from(frames.page(frames.pathOf('lamp') ?? '')?.body ?? []).toString()
  t.equal(page.match(/<script/g)?.length, 2)
  t.equal(page.match(/<\/s/g)?.length, 3)
})

void t.test('nothing is read of what is switched off, of what comes with Patchbay, and of what has no panel', async (t) => {
  const { frames, lamp, problems, dir } = lab(t)
  const { panel, ...without } = lamp
  for (const other of [
    { ...lamp, state: 'disabled' as const },
    { ...lamp, builtin: true },
    without,
    { ...lamp, panel: join(dir, 'none') },
  ]) {
    await frames.follow([other])
    t.equal(frames.pathOf('lamp'), undefined)
  }
  t.strictSame(problems, [])
})

void t.test('links, pipes and what is too large are told once, and not shown', async (t) => {
  const { frames, lamp, problems, file, dir } = lab(t)
  const refused = async (why: RegExp) => {
    await frames.follow([lamp])
    await frames.follow([lamp])
    t.equal(frames.pathOf('lamp'), undefined)
    t.equal(problems.length, 1)
    t.match(problems.pop(), why)
    rmSync(file, { recursive: true })
  }
  writeFileSync(file, ' '.repeat(256 * 1024 + 1))
  await refused(/^lamp: index\.js of its panel is no file of at most 256 KiB\.$/)
  symlinkSync('/etc/passwd', file)
  await refused(/cannot be read \(ELOOP\)/)
  execFileSync('mkfifo', [file])
  await refused(/is no file/)
  rmSync(join(dir, 'panel'), { recursive: true })
  const elsewhere = join(dir, '../elsewhere')
  mkdirSync(elsewhere)
  writeFileSync(join(elsewhere, 'index.js'), '1')
  symlinkSync(elsewhere, join(dir, 'panel'))
  await frames.follow([lamp])
  t.match(problems, [/lies elsewhere/])
})
