import { existsSync } from 'node:fs'
import t from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { startWith } from './package.ts'

const contract: Contract = {
  id: 'prober',
  capabilities: { exec: ['bash'] },
  commands: { 'prober:run': { payload: { type: 'string' } }, 'prober:see': {} },
}
const body = `
  ctx.handle('prober:see', () => ({ env: Object.keys(process.env).sort(), cwd: process.cwd(), tmp: process.env.TMPDIR, pid: process.pid }))
  ctx.handle('prober:run', async (script) => ({ said: (await ctx.exec.run('bash', ['-c', script])).stdout }))`

void t.test('a stranger’s process inherits next to nothing, and gains no rights', async (t) => {
  process.env.PATCHBAY_TEST_SECRET = 'not for plugins'
  t.teardown(() => delete process.env.PATCHBAY_TEST_SECRET)
  const host = await startWith(t, contract, body)
  await host.reached('prober', 'running')
  const owner = await host.client('owner')
  const { env, cwd, tmp, pid } = (await owner.ask('prober:see')) as unknown as {
    env: string[]
    cwd: string
    tmp: string
    pid: number
  }
  const known = ['DBUS_SYSTEM_BUS_ADDRESS', 'HOME', 'LANG', 'NODE_ENV', 'PATCHBAY_RUN', 'PATH', 'TMPDIR', 'TZ', 'XDG_RUNTIME_DIR']
  t.same(
    env.filter((name) => !known.includes(name) && !name.startsWith('_TAPJS_')),
    [],
  )
  t.equal(cwd, '/')
  const run = async (script: string) => String((await owner.ask('prober:run', script)).said).trim()
  // Of the plugin's own process, seen from what it started.
  const status = await run(`cat /proc/${pid}/status`)
  t.match(status, /^NoNewPrivs:\s+1$/m)
  t.match(status, /^CapInh:\s+0+$/m)
  if (process.getuid?.() === 0) t.match(status, /^CapBnd:\s+0+$/m)
  t.match(status, /^Umask:\s+0077$/m)
  t.equal(await run(`cat /proc/${pid}/oom_score_adj`), '500')
  t.match(await run(`cat /proc/${pid}/limits`), /^Max core file size\s+0 .*^Max open files\s+1024 /ms)
  t.equal(await run(`ps -o sid= -p ${pid} 2>/dev/null || cut -d' ' -f6 /proc/${pid}/stat`), String(pid), 'a session of its own')
  t.match(await run(`tr '\\0' '\\n' </proc/${pid}/environ`), /^(?!.*not for plugins)/s)
  const open = await run(
    `for fd in /proc/${pid}/fd/*; do readlink $fd; done | grep -vE '^(anon_inode|pipe|socket|/dev/null)' || true`,
  )
  t.equal(open, '', 'no file of the daemon is open in it')
  t.ok(existsSync(tmp))
  await owner.ask('host:disable', { id: 'prober' })
  t.notOk(existsSync(tmp), 'its temporary directory went with it')
})

void t.test('what is granted decides how well it is held back, and a row says so', async (t) => {
  const level = async (of: Contract) => {
    const host = await startWith(t, of, '')
    return (await host.reached('prober', 'running')).containment
  }
  t.match(await level({ id: 'prober' }), { level: 'partly', sentence: /nothing keeps it from the network/ })
  t.match(await level({ id: 'prober', capabilities: { exec: ['bash'] } }), {
    level: 'not contained',
    sentence: /all that the daemon may\.$/,
  })
  t.match(await level({ id: 'prober', capabilities: { addons: true } }), { level: 'not contained' })
})

void t.test('a grant that would open what is Patchbay’s own is no use', async (t) => {
  const host = await startWith(t, { id: 'prober', capabilities: { files: { read: ['/tmp'] } } }, '')
  t.match(await host.reached('prober', 'failed', 'quarantined'), {
    reason: /It asks for \/tmp, which would open .* to it: that is Patchbay's own\./,
  })
})
