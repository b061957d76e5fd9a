/** Lets the parent process call these functions of this one. */
export function serve(functions) {
  const answer = async ({ id, name, args }) => {
    try {
      process.send({ id, result: await functions[name](...args) })
    } catch (error) {
      process.send({ id, error: error.stack })
    }
  }
  process.on('message', (message) => void answer(message))
  // Nothing outlives the bench.
  process.once('disconnect', () => process.exit())
}

/** Calls a function that a child process serves. */
export function callIn(child, name, ...args) {
  const id = nextId++
  return new Promise((resolve, reject) => {
    const settle = (message) => {
      if (message.id !== id) return
      child.off('message', settle)
      child.off('exit', gone)
      if (message.error) reject(new Error(message.error))
      else resolve(message.result)
    }
    const gone = (code) => reject(new Error(`the process ended with ${code} before it answered ${name}`))
    child.on('message', settle).once('exit', gone)
    child.send({ id, name, args })
  })
}
let nextId = 0
