import { mkdir, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'

type Request = { readonly command: string; readonly [field: string]: unknown }
export type Answer = (request: Request) => object | Promise<object>

const maxRequest = 4096

/** Where the command line finds the daemon: a socket in a directory that only its user may enter. */
export function controlPath(dataDir: string): string {
  return join(dataDir, 'control', 'socket')
}

/** Asks the daemon. Rejects with ENOENT or ECONNREFUSED if none runs. */
export function askDaemon(dataDir: string, request: Request): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(controlPath(dataDir), () => void socket.write(`${JSON.stringify(request)}\n`))
    // Looking at every plugin takes the longest.
    socket.setTimeout(30_000, () => socket.destroy(new Error('The daemon does not answer.')))
    socket.setEncoding('utf8').on('data', (chunk) => (text += chunk))
    socket.on('error', reject)
    socket.on('end', () => resolve(JSON.parse(text || '{}') as Record<string, unknown>))
  })
}

/** The daemon's end of it. That it can be had is also what makes this daemon the only one of its data directory. */
export class Control {
  #server: Server | undefined

  /** Rejects with a sentence if another daemon has it. */
  async open(dataDir: string, answer: Answer): Promise<void> {
    const running = await askDaemon(dataDir, { command: 'ping' }).catch(() => undefined)
    if (running)
      throw new Error(`Patchbay runs already with the data directory ${dataDir} (process ${String(running.pid)}). Stop it first.`)
    await mkdir(join(dataDir, 'control'), { recursive: true, mode: 0o700 })
    await unlink(controlPath(dataDir)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    const server = createServer((socket) => {
      let text = ''
      socket.setTimeout(30_000, () => socket.destroy())
      socket.on('error', () => socket.destroy())
      socket.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
        if (text.length > maxRequest) return void socket.destroy()
        if (text.includes('\n')) void respond(text, answer).then((said) => socket.end(JSON.stringify(said)))
      })
    })
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(controlPath(dataDir), resolve))
    this.#server = server
  }

  close(): void {
    this.#server?.close()
  }
}

async function respond(text: string, answer: Answer): Promise<object> {
  try {
    return await answer(JSON.parse(text) as Request)
  } catch (error) {
    return { error: (error as Error).message }
  }
}
