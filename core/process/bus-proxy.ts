import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod } from 'node:fs/promises'
import type { Readable } from 'node:stream'

const program = 'xdg-dbus-proxy'

/**
 * Opens a socket behind which is the system bus with these services on it, and no others. The caller is the daemon's user there.
 * Resolves with what closes it; rejects with a sentence.
 */
export async function openBusProxy(busAddress: string, socket: string, services: readonly string[]): Promise<() => void> {
  const rules = services.map((name) => `--talk=${name}`)
  // It tells on this descriptor that it listens, and ends when the descriptor is closed, so also with this process.
  const proxy = spawn(program, ['--fd=3', busAddress, socket, '--filter', ...rules], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  const alive = proxy.stdio[3] as Readable
  const failed = once(proxy, 'exit').then(() => {
    throw new Error('it ended at once')
  })
  try {
    await Promise.race([once(alive, 'data'), failed])
    await chmod(socket, 0o666)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const mend = code === 'ENOENT' ? `. Mend it with: sudo apt-get install ${program}` : ''
    throw new Error(
      `The services that it was granted cannot be opened to it, ${program} does not run (${code ?? message})${mend}`,
    )
  } finally {
    failed.catch(() => undefined)
  }
  return () => {
    alive.destroy()
    proxy.kill()
  }
}
