import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { startTestHost } from '../../../core/testing/host.ts'

t.setTimeout(150_000)

/** Processes below this one whose command line fits, by their ids. */
async function below(fits: RegExp): Promise<number[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const parents = new Map<number, number>()
  const found: number[] = []
  for (const id of ids) {
    const [stat = '', line = ''] = await Promise.all(
      ['stat', 'cmdline'].map((name) => readFile(`/proc/${id}/${name}`, 'utf8').catch(() => '')),
    )
    parents.set(id, Number(/\) \S (\d+)/.exec(stat)?.[1]))
    if (fits.test(line)) found.push(id)
  }
  const isBelow = (id: number): boolean => id === process.pid || (parents.has(id) && isBelow(parents.get(id) as number))
  return found.filter(isBelow)
}

void t.test(
  'a crash of its machine code is a stream that ends: the host stays, no program is left, and it starts anew',
  async (t) => {
    const settings = { camera: { simulated: true, camera: 'simulated', frameRate: 15 } }
    const host = await startTestHost({ builtins: ['camera'], settings })
    t.teardown(() => host.stop())
    await host.reached('camera', 'running')
    const client = await host.client('operator')
    await client.ask('module:subscribe', { module: 'camera' })
    t.match(await client.ask('camera:start', { resolution: '480p' }), { success: true })
    t.notMatch(await readFile('/proc/self/maps', 'utf8'), /node_datachannel/, 'that code is not in the host’s process')
    const programs = await below(/^ffmpeg\0/)
    const [plugin] = await below(/\/child\.js/)
    t.equal(programs.length, 1)
    t.match(await readFile(`/proc/${plugin}/maps`, 'utf8'), /node_datachannel/, 'but in the plugin’s')

    process.kill(plugin as number, 'SIGSEGV')
    await host.reached('camera', 'failed', 'starting', 'unavailable')
    t.ok(client.socket.connected)
    t.match(await host.reached('camera', 'running'), { state: 'running' })
    const left = await readFile(`/proc/${programs[0]}/cmdline`, 'utf8').catch(() => '')
    t.notMatch(left, /^ffmpeg/)
    t.match(await client.ask('camera:start', { resolution: '480p' }), { success: true })
  },
)
