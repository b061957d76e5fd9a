import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'

/** What came of it, in a word: that it went well, or the code of the error. */
function outcome(work) {
  try {
    return { outcome: work() }
  } catch (error) {
    return { outcome: error.code ?? error.message }
  }
}

export function signalParent({ signal }) {
  return outcome(() => process.kill(process.ppid, signal) && 'sent')
}

export function read({ path }) {
  return outcome(() => readFileSync(path.replace('PPID', process.ppid)).length >= 0 && 'read')
}

/** Whether it could be written; nothing is. */
export function openToWrite({ path }) {
  return outcome(() => {
    closeSync(openSync(path.replace('PPID', process.ppid), 'r+'))
    return 'opened'
  })
}

export function write({ path, text }) {
  return outcome(() => writeFileSync(path, text) ?? 'written')
}

export function list({ path }) {
  return outcome(() => readdirSync(path) && 'listed')
}

/** Whether something takes connections there: a port of the loopback, or a socket in the file system. */
export function reach(where) {
  return new Promise((resolve) => {
    try {
      const socket = connect(where)
      socket.once('connect', () => resolve({ outcome: 'connected' }) ?? socket.destroy())
      socket.once('error', (error) => resolve({ outcome: error.code }))
    } catch (error) {
      resolve({ outcome: error.code })
    }
  })
}

export async function callBus({ service, method }, { ctx }) {
  try {
    await ctx.dbus.call({ service, path: '/', interface: service, method })
    return { outcome: 'called' }
  } catch (error) {
    return { outcome: error.dbusName ?? error.message }
  }
}

/** What it was given without asking. */
export function inherited(_args, { ctx }) {
  const descriptors = outcome(() =>
    readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)]
      } catch {
        return []
      }
    }),
  )
  return {
    environment: { ...process.env },
    argv: process.argv,
    execArgv: process.execArgv,
    descriptors,
    context: Object.keys(ctx),
  }
}
