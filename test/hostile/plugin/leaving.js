import { writeSync } from 'node:fs'

export function exit({ code }) {
  setTimeout(() => process.exit(code), 10)
}

export function exitInHandler({ code }) {
  process.exit(code)
}

export function abort() {
  setTimeout(() => process.abort(), 10)
}

export function signalItself({ signal }) {
  setTimeout(() => process.kill(process.pid, signal), 10)
}

/** Its last words are a lie about what ended it. */
export function exitBlamingMemory() {
  setTimeout(() => {
    writeSync(2, 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n')
    process.exit(1)
  }, 10)
}

/** Programs that outlive whoever started them: as they are, in groups of their own, without its environment, deaf to signals. */
export async function leaveChildren({ token }) {
  const { spawn } = await import('node:child_process')
  const sleep = ['sh', ['-c', `trap '' TERM HUP INT; sleep 600; : ${token}`]]
  const started = [
    spawn(...sleep, { stdio: 'ignore' }),
    spawn(...sleep, { stdio: 'ignore', detached: true }),
    // They hold its channel open, beyond its end.
    spawn(...sleep, { stdio: ['ignore', 'inherit', 'inherit', 3], detached: true }),
  ]
  return { pids: started.map(({ pid }) => pid) }
}

/** One that bears nothing by which it could be known. */
export async function leaveHidden({ token }) {
  const { spawn } = await import('node:child_process')
  const { pid } = spawn('sh', ['-c', `sleep 600; : ${token}`], {
    stdio: 'ignore',
    detached: true,
    env: { PATH: process.env.PATH },
  })
  return { pids: [pid] }
}

/** Each starts the next and ends: there is no moment at which all of them are to be seen. */
export async function keepForking({ token }) {
  const { spawn } = await import('node:child_process')
  const script = `n=0; while [ $n -lt 400 ]; do n=$((n+1)); sleep 0.01; done; : ${token}`
  for (let i = 0; i < 3; i++) spawn('sh', ['-c', script], { stdio: 'ignore', detached: true })
}
