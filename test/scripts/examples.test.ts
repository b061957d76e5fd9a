// The examples in test/examples as their authors test them, outside the repository.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { copyExample } from '../support/example.ts'

/** `npm test`, without tap's hooks; its output. */
async function testItself(dir: string): Promise<string> {
  const PATH = `${join(process.execPath, '..')}:${process.env.PATH}`
  const { stdout } = await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', 'npm', 'test'], {
    cwd: dir,
    env: { HOME: dir, PATH },
  }).catch((error: { stdout: string; stderr: string }) => ({ stdout: error.stdout + error.stderr }))
  return stdout
}

t.setTimeout(300_000)

for (const [language, folder] of [
  ['TypeScript', 'led'],
  ['JavaScript', 'led-js'],
] as const)
  void t.test(`the example in ${language} passes its own tests and conformance`, async (t) => {
    const output = await testItself(await copyExample(t, folder))
    t.match(output, / pass 19\n\S+ fail 0\n/, output)
    t.match(output, /led: 1000 subscribe and unsubscribe cycles/)
  })
