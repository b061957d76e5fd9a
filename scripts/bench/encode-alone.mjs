import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'

/** The processes that one has started, and that are not gone. */
export function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number)
}

/** What ffmpeg costs without us: with the very same arguments as the process with this id, into nothing. */
export function encodeAlone(pid) {
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, -1)
  const alone = spawn('ffmpeg', ['-y', ...args.map((word) => (word.startsWith('unix:') ? '/dev/null' : word))], {
    stdio: 'ignore',
  })
  return {
    pid: alone.pid,
    async end() {
      const ended = once(alone, 'exit')
      alone.kill('SIGKILL')
      await ended
    },
  }
}
