import { access } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { at, type Exec, findObject } from './tool.ts'

const DEADLINE_MS = 8_000
const FRESH_MS = 5_000
const MAX_BYTES = 8 * 1024 * 1024
const UNIT = 'patchbay-smart.socket'

/** Why the helper cannot be asked. */
export interface HelperProblem {
  readonly sentence: string
  /** A command to paste. */
  readonly mend: string
}

/** Gives what root's programs said in the place of what ours would. */
export interface Helper extends Exec {
  /** Null when it has answered; then `run` knows the answers. */
  problem(): Promise<HelperProblem | null>
  /** What it said was before something changed. */
  forget(): void
}

type Run = Awaited<ReturnType<Exec['run']>>
type Answer = { readonly runs: ReadonlyMap<string, Run> } | { readonly problem: HelperProblem }

/**
 * The root helper of the service (scripts/service/smart-helper): it takes no question and tells of every drive at once. It is
 * started at most every 5 s, however many ask and however many drives are broken, unless a drive came or went.
 */
export function createHelper(root: string, path = join(root, 'run', UNIT)): Helper {
  let latest: { readonly answer: Promise<Answer>; readonly until: () => number } | undefined
  const ask = () => {
    if (latest && performance.now() < latest.until()) return latest.answer
    let until = Number.POSITIVE_INFINITY
    const answer = read(root, path).finally(() => {
      until = performance.now() + FRESH_MS
    })
    latest = { answer, until: () => until }
    return answer
  }
  return {
    forget() {
      latest = undefined
    },
    async problem() {
      const answer = await ask()
      return 'problem' in answer ? answer.problem : null
    },
    async run(program, args) {
      const answer = await ask()
      if ('problem' in answer) throw new Error(answer.problem.sentence)
      const { runs } = answer
      const found = runs.get([program, ...args].join(' '))
      if (found) return found
      const isInstalled = [...runs.keys()].some((command) => command.startsWith(`${program} `))
      throw Object.assign(new Error('The helper has not run this.'), { code: isInstalled ? 'EAGAIN' : 'ENOENT' })
    },
  }
}

async function read(root: string, path: string): Promise<Answer> {
  try {
    await access(path)
    return { runs: parse(await receive(path)) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES') return { problem: foreign }
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED') return { problem: silent }
    return { problem: (await isInstalled(root)) ? stopped : missing }
  }
}

const missing = {
  sentence:
    'The service brings a helper that may, and it is not installed: run scripts/install.sh, or install the Debian package.',
  mend: 'sudo scripts/install.sh',
}
const stopped = { sentence: `The helper that may (${UNIT}) does not run.`, mend: `sudo systemctl restart ${UNIT}` }
const foreign = {
  sentence: `The helper that may (${UNIT}) serves the user of the service, and this daemon runs as another.`,
  mend: 'sudo systemctl restart patchbay.service',
}
const silent = {
  sentence: `The helper that may (${UNIT}) did not answer as expected.`,
  mend: "sudo journalctl --unit='patchbay-smart*' --lines=20",
}

async function isInstalled(root: string): Promise<boolean> {
  const places = ['etc/systemd/system', 'usr/lib/systemd/system'].map((directory) => access(join(root, directory, UNIT)))
  return Promise.any(places).then(
    () => true,
    () => false,
  )
}

/** All that it says until it hangs up. */
function receive(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let [text, bytes] = ['', 0]
    const deadline = setTimeout(() => socket.destroy(new Error('late')), DEADLINE_MS)
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      bytes += chunk.length
      if (bytes > MAX_BYTES) socket.destroy(new Error('too much'))
    })
    socket.on('error', reject)
    socket.on('close', () => {
      clearTimeout(deadline)
      resolve(text)
    })
  })
}

/** Throws if the last line, which says that nothing is missing, is not there. */
function parse(text: string): Map<string, Run> {
  const lines = text.trimEnd().split('\n')
  if (at(findObject(lines.pop() ?? ''), 'complete') !== true) throw new Error('cut off')
  return new Map(
    lines.map((line) => {
      const said = findObject(line)
      const decoded = (name: string) => Buffer.from(String(at(said, name) ?? ''), 'base64').toString()
      return [
        String(at(said, 'command')),
        { exitCode: Number(at(said, 'exitCode')), stdout: decoded('stdout'), stderr: decoded('stderr') },
      ]
    }),
  )
}
