import { type FSWatcher, watch as watchPath } from 'node:fs'
import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Light {
  readonly name: string
  readonly isOn: boolean
  readonly brightness: number
  readonly max: number
  readonly trigger: string
}

/** A failure with the code that it is told by. */
export class LedError extends Error {
  readonly code: 'LED_UNKNOWN' | 'LED_NOT_WRITABLE'
  constructor(code: LedError['code'], cause?: unknown) {
    super(code, { cause })
    this.code = code
  }
}

/** As the kernel names them; others are left alone, so that a name can stand in a command line. */
const lightName = /^[A-Za-z0-9_][\w:.-]{0,63}$/
/** Milliseconds in which changes are told together. */
const quietMs = 20

/** The driver: LEDs as `/sys/class/leds` shows them (kernel documentation, leds-class). It knows nothing of Patchbay. */
export class Leds {
  readonly #place: string

  constructor(place: string) {
    this.#place = place
  }

  async names(): Promise<string[]> {
    return (await readdir(this.#place)).filter((name) => lightName.test(name)).sort()
  }

  async list(): Promise<Light[]> {
    const lights = (await this.names()).map((name) => this.#read(name))
    return (await Promise.all(lights)).filter((light) => light !== undefined)
  }

  /** Throws a LedError. A name is compared with those that are there and never made a path before that. */
  async set(name: string, on: boolean): Promise<void> {
    const light = (await this.names()).includes(name) ? await this.#read(name) : undefined
    if (!light) throw new LedError('LED_UNKNOWN')
    try {
      if (light.trigger !== 'none') await writeFile(this.#file(name, 'trigger'), 'none')
      await writeFile(this.#file(name, 'brightness'), String(on ? light.max : 0))
    } catch (error) {
      throw new LedError('LED_NOT_WRITABLE', error)
    }
  }

  /** The files of an LED that this user may not write. */
  async locked(name: string): Promise<string[]> {
    const files = [this.#file(name, 'brightness'), this.#file(name, 'trigger')]
    const tries = files.map(async (file) => {
      try {
        await (await open(file, 'r+')).close()
        return []
      } catch (error) {
        return isGone(error) ? [] : [file]
      }
    })
    return (await Promise.all(tries)).flat()
  }

  /** Calls back after an LED was switched by anybody. The kernel does not tell what a trigger lights. */
  async watch(onChange: () => void): Promise<() => void> {
    let timer: NodeJS.Timeout | undefined
    const soon = () => {
      clearTimeout(timer)
      timer = setTimeout(onChange, quietMs)
    }
    const watchers: FSWatcher[] = []
    const close = () => {
      clearTimeout(timer)
      for (const watcher of watchers) watcher.close()
    }
    for (const name of await this.names()) {
      try {
        watchers.push(watchPath(this.#file(name, 'brightness'), soon).on('error', soon))
      } catch (error) {
        if (isGone(error)) continue // it was pulled out meanwhile
        close()
        throw error
      }
    }
    return close
  }

  async #read(name: string): Promise<Light | undefined> {
    try {
      const [brightness, max] = await Promise.all([this.#number(name, 'brightness'), this.#number(name, 'max_brightness')])
      return { name, isOn: brightness > 0, brightness, max, trigger: await this.#trigger(name) }
    } catch (error) {
      if (isGone(error)) return undefined
      throw error
    }
  }

  async #number(name: string, file: string): Promise<number> {
    return Number.parseInt(await readFile(this.#file(name, file), 'utf8'), 10) || 0
  }

  /** All triggers stand in the file, the one in force in brackets. Kernels without triggers have no such file. */
  async #trigger(name: string): Promise<string> {
    const text = await readFile(this.#file(name, 'trigger'), 'utf8').catch((error: unknown) => {
      if (isGone(error)) return ''
      throw error
    })
    return /\[([^\]]+)\]/.exec(text)?.[1] ?? 'none'
  }

  #file(name: string, file: string): string {
    return join(this.#place, name, file)
  }
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENODEV' || code === 'ENOTDIR'
}
