import { execFile } from 'node:child_process'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { nodeArguments, policy } from '../../../core/process/confinement.ts'
import { temporary } from '../lifecycle/lab.ts'

/** Tries what a plugin might, and prints what came of each. */
const probe = `
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { Worker } from 'node:worker_threads'
import api from 'patchbay/plugin'
import dependency from 'dependency'
const told = { api, dependency }
const attempt = (name, work) => {
  try { told[name] = String(work()) } catch (error) { told[name] = error.code }
}
for (const [name, path] of Object.entries(JSON.parse(process.argv[2]))) {
  attempt('read ' + name, () => fs.readFileSync(path, 'utf8'))
  attempt('write ' + name, () => fs.writeFileSync(path, 'changed'))
}
attempt('list', () => fs.readdirSync('/'))
attempt('environment', () => fs.readFileSync('/proc/' + process.ppid + '/environ', 'utf8').length > 0)
attempt('spawn', () => spawnSync('true').status)
attempt('worker', () => new Worker('0', { eval: true }).unref() && 'works')
attempt('addon', () => process.dlopen({ exports: {} }, import.meta.dirname + '/no.node'))
attempt('link', () => fs.symlinkSync('/etc/shadow', process.argv[3] + '/link'))
try {
  const { DatabaseSync } = await import('node:sqlite')
  attempt('sqlite', () => new DatabaseSync(process.argv[3] + '/../outside.db') && 'works')
} catch (error) { told.sqlite = error.code }
console.log(JSON.stringify(told))
`
const denied = 'ERR_ACCESS_DENIED'

interface Lab {
  readonly root: string
  readonly files: Readonly<Record<string, string>>
  run(grants: readonly string[], closed?: readonly string[]): Promise<Record<string, string>>
}

async function createLab(t: Test): Promise<Lab> {
  const root = await temporary(t)
  const place = (path: string) => join(root, path)
  for (const dir of ['lamp/node_modules/dependency', 'lamp-2', 'patchbay', 'scratch', 'granted/below', 'secret'])
    await mkdir(place(dir), { recursive: true })
  const files = {
    own: place('lamp/own'),
    sibling: place('lamp-2/file'),
    granted: place('granted/below/file'),
    secret: place('secret/file'),
    scratch: place('scratch/file'),
    linked: place('lamp/node_modules/out/file'),
    api: place('patchbay/plugin.js'),
  }
  await symlink(place('secret'), place('lamp/node_modules/out'))
  for (const path of Object.values(files)) await writeFile(path, 'as it was')
  await writeFile(place('lamp/package.json'), '{ "type": "module" }')
  await writeFile(place('lamp/index.js'), probe)
  await writeFile(place('lamp/node_modules/dependency/package.json'), '{ "type": "module", "main": "./index.js" }')
  await writeFile(place('lamp/node_modules/dependency/index.js'), 'export default "found"')
  await writeFile(files.api, 'export default "provided"')
  const apiUrl = pathToFileURL(files.api).href
  // What child-main.ts does where it can.
  const hook = `import { registerHooks } from 'node:module'
registerHooks({ resolve: (id, context, next) => id === 'patchbay/plugin' ? { url: '${apiUrl}', shortCircuit: true } : next(id, context) })
await import('${pathToFileURL(place('lamp/index.js')).href}')`
  const canHook = 'registerHooks' in (await import('node:module'))
  await writeFile(place('patchbay/main.mjs'), canHook ? hook : `await import('${pathToFileURL(place('lamp/index.js')).href}')`)
  await writeFile(place('policy.json'), await policy(place('lamp'), place('patchbay/main.mjs')))

  const run: Lab['run'] = async (grants, closed = []) => {
    const program = place('patchbay/main.mjs')
    const doors = { dir: place('lamp'), grants, program, scratch: place('scratch'), policyFile: place('policy.json'), closed }
    const args = await nodeArguments({ ...doors, connects: false })
    // Without the hooks that tap has every program inherit.
    const command = ['-u', 'NODE_OPTIONS', process.execPath, ...args, program, JSON.stringify(files), place('scratch')]
    const { stdout } = await promisify(execFile)('/usr/bin/env', command, { cwd: '/', env: {} })
    return JSON.parse(stdout) as Record<string, string>
  }
  return { root, files, run }
}

void t.test(
  'without grants a process reads its package and Patchbay’s code, writes its scratch directory, and that is all',
  async (t) => {
    const { files, run } = await createLab(t)
    const told = await run([])
    t.match(told, { api: 'provided', dependency: 'found', 'read own': 'as it was', 'write scratch': 'undefined' })
    const closed = ['write own', 'read sibling', 'read granted', 'read secret', 'read linked', 'write linked', 'write secret']
    for (const attempt of [...closed, 'write api', 'list', 'environment', 'spawn', 'worker', 'link'])
      t.equal(told[attempt], denied, attempt)
    t.equal(told.addon, 'ERR_DLOPEN_DISABLED')
    t.equal(told.sqlite, 'ERR_UNKNOWN_BUILTIN_MODULE')
    t.equal(await readFile(files.secret ?? '', 'utf8'), 'as it was')
  },
)

void t.test('what is granted is open, with what is below, and nothing beside it', async (t) => {
  const { root, run } = await createLab(t)
  const reads = await run([`file-read:${root}/granted`])
  t.match(reads, { 'read granted': 'as it was', 'write granted': denied, 'read secret': denied })
  const writes = await run([`file-write:${root}/granted`, `device:${root}/secret/f*e`])
  t.match(writes, {
    'read granted': 'as it was',
    'write granted': 'undefined',
    'read secret': 'as it was',
    'write secret': 'undefined',
  })
  t.match(writes, { 'read linked': denied, 'read sibling': denied, spawn: denied })
  const nested = [`file-read:${root}/granted`, `file-read:${root}/granted/below`, `file-write:${root}/granted/below`]
  t.match(await run(nested), { 'read granted': 'changed', 'write granted': 'undefined', 'read secret': denied })
  t.match(await run(['exec:true']), { spawn: '0', 'read secret': denied })
  t.match(await run(['addons']), { addon: 'ERR_DLOPEN_FAILED', 'read secret': denied })
})

void t.test('no grant opens what is Patchbay’s own, neither from above nor through a link', async (t) => {
  const { root, run } = await createLab(t)
  const own = `${root}/secret`
  await symlink(own, join(root, 'link'))
  for (const path of [own, `${own}/file`, root, `${root}/link`, '/tmp'])
    await t.rejects(run([`file-read:${path}`], [own]), {
      message: `It asks for ${path}, which would open ${own} to it: that is Patchbay's own.`,
    })
  t.match(await run([`file-write:${root}/granted`], [own, `${root}/grant`]), { 'read granted': 'as it was' })
})
