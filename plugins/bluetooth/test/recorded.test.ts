// What passed between the plugin and bluetoothd in the lab, once more.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startTestHost } from '../../../core/testing/host.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { type Recording, Replay } from '../../../test/support/replay.ts'

interface Told {
  readonly command: string
  readonly payload: { readonly mac?: string }
  /** What the person says to the question. */
  readonly accept?: boolean
  /** The code of the failure, or `done`. */
  readonly outcome: string
}
interface Device {
  readonly mac: string
  readonly rssi: number | null
  readonly paired: boolean
  readonly trusted: boolean
}

const directory = join(import.meta.dirname, 'fixtures')
/** What BlueZ said when the plugin started, which was before. */
const before = { 'RegisterAgent /org/bluez': null, 'RequestDefaultAgent /org/bluez': null, 'UnregisterAgent /org/bluez': null }

for (const file of readdirSync(directory))
  void t.test(`as recorded: ${file.replace('.json', '').replaceAll('-', ' ')}`, async (t) => {
    const recording = JSON.parse(readFileSync(join(directory, file), 'utf8')) as Recording & Told
    const { command, payload, accept, outcome, exchange } = recording
    const bus = await new PrivateBus(t).start()
    const replay = await Replay.start(bus, 'org.bluez', { ...recording, standing: before })
    const host = await startTestHost({ builtins: ['bluetooth'], busAddress: bus.address })
    t.teardown(async () => {
      await host.stop()
      await replay.stop()
    })
    await host.reached('bluetooth', 'running')
    const client = await host.client('operator')
    let devices: Device[] = []
    client.socket.on('bluetooth:devices', (all: Device[]) => {
      devices = all
    })
    client.socket.on('bluetooth:pairing', ({ id, number, kind }: { id: string; number: string; kind: string }) => {
      const asked = exchange.find((said) => 'ask' in said && said.ask.endsWith('.RequestConfirmation'))
      const passkey = asked && 'payload' in asked ? asked.payload?.data[1] : undefined
      t.same([kind, number], ['compare', String(passkey).padStart(6, '0')])
      void client.ask('bluetooth:pairing_answer', { id, accept })
    })
    await client.ask('module:subscribe', { module: 'bluetooth' })
    const { success, code } = await client.ask(command, Object.keys(payload).length > 0 ? payload : undefined)
    t.equal(success ? 'done' : code, outcome)
    if (command === 'bluetooth:scan') {
      await until(() => devices.some(({ rssi }) => rssi !== null))
      t.match(await client.ask('bluetooth:stop_scan'), { success: true })
    }
    await until(() => replay.left.length === 0)
    t.same(replay.unexpected, [])
    if (command === 'bluetooth:pair') {
      const isPaired = outcome === 'done'
      await until(() => devices.some(({ mac, paired, trusted }) => mac === payload.mac && paired && trusted) === isPaired)
    }
    if (command === 'bluetooth:unpair') await until(() => devices.every(({ mac }) => mac !== payload.mac))
  })

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10))
}
