import { createHook } from 'node:async_hooks'
import { readdir, readFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// What a native library holds for an object goes when that is collected.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What ends by itself, is told of only when memory is tidied up, or is no resource of its own. */
const passing =
  /^(PROMISE|TickObject|Microtask|Immediate|FS.*|FILEHANDLE.*|.*REQ.*|.*REQUEST|RANDOM.*|ZLIB|.*JOB|HTTP.*PARSER|SHUTDOWN.*|WRITE.*|bound-.*|DIR.*)$/i

/** What a plugin has open. */
export interface Holdings {
  /** Timers, sockets, servers, watchers, threads, programs that its code opened, by kind. */
  readonly opened: Readonly<Record<string, number>>
  /** Of this process: file descriptors, child processes, listeners on `process`. */
  readonly descriptors: number
  readonly children: number
  readonly listeners: number
}

/** Watches what the code in a directory opens and closes. */
export class LeakWatch {
  readonly #open = new Map<number, string>()
  readonly #hook

  constructor(dir: string) {
    const places = [`${dir}/`, `${pathToFileURL(dir).href}/`]
    this.#hook = createHook({
      init: (id, type) => {
        if (passing.test(type)) return
        const { stackTraceLimit } = Error
        Error.stackTraceLimit = 50
        const { stack = '' } = new Error()
        Error.stackTraceLimit = stackTraceLimit
        if (places.some((place) => stack.includes(place))) this.#open.set(id, type)
      },
      destroy: (id) => void this.#open.delete(id),
    }).enable()
  }

  stop(): void {
    this.#hook.disable()
  }

  /** What is open once that has stopped changing, after at most 2 s. */
  async holdings(): Promise<Holdings> {
    let last = await this.#look()
    // A program is given half a second to end.
    for (let equal = 0, i = 0; equal < (last.children > 0 ? 25 : 4) && i < 100; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      const now = await this.#look()
      equal = JSON.stringify(now) === JSON.stringify(last) ? equal + 1 : 0
      last = now
    }
    return last
  }

  async #look(): Promise<Holdings> {
    collect()
    const opened: Record<string, number> = {}
    for (const type of [...this.#open.values()].sort()) opened[type] = (opened[type] ?? 0) + 1
    const descriptors = (await readdir('/proc/self/fd')).length
    const threads = await readdir('/proc/self/task')
    const lists = await Promise.all(
      threads.map((thread) => readFile(`/proc/self/task/${thread}/children`, 'utf8').catch(() => '')),
    )
    const children = lists.join(' ').split(/\s+/).filter(Boolean).length
    const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
    return { opened, descriptors, children, listeners }
  }
}
