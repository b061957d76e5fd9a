import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SystemBus } from '../../../core/process/dbus.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { type Recording, Replay } from '../../../test/support/replay.ts'
import { Wifi } from '../driver/wifi.ts'
import { nm, scripts } from './network-manager.ts'

const directory = join(import.meta.dirname, 'fixtures')
const elsewhere = { arrivedOver: 'eth0', heard: () => Promise.reject(new Error('nobody should ask')) }

interface Attempt extends Recording {
  readonly command: 'scan' | 'connect' | 'disconnect' | 'forget'
  readonly payload: { readonly ssid: string; readonly password?: string; readonly hidden?: boolean }
  /** The code of the failure, or `done`. */
  readonly outcome: string
}
const read = (file: string) => JSON.parse(readFileSync(join(directory, file), 'utf8')) as Attempt

for (const file of readdirSync(directory)) {
  const recording = read(file)
  void t.test(`as recorded: ${file.replace('.json', '').replaceAll('-', ' ')}`, async (t) => {
    const privateBus = await new PrivateBus(t).start()
    const replay = await Replay.start(privateBus, nm, recording)
    const bus = new SystemBus(privateBus.address)
    const wifi = new Wifi(
      {
        call: (request) => bus.call({ service: nm, ...request }),
        onSignal: (filter, listener) => bus.onSignal(nm, filter, listener),
        watchObjects: (options, onChange) => bus.watchObjects(nm, options, onChange),
      },
      () => t.fail('nothing is rolled back'),
      // what took the whole deadline is short here
      { decideMs: recording.outcome === 'WIFI_NO_DHCP' ? 2000 : 20_000, scanMs: 20_000, workSeconds: 60, confirmSeconds: 60 },
    )
    t.teardown(async () => {
      wifi.stop()
      bus.close()
      await replay.stop()
    })
    t.teardown(await wifi.manager.open())
    const { command, payload } = recording
    const work = {
      scan: () => wifi.scan(),
      connect: () => wifi.connect(payload, elsewhere),
      disconnect: () => wifi.disconnect(elsewhere),
      forget: () => wifi.forget(payload.ssid, elsewhere),
    }[command]()
    const outcome = await work.then(
      () => 'done',
      ({ code, message }: { code?: string; message: string }) => code ?? message,
    )
    t.equal(outcome, recording.outcome)
    while (replay.left.length > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    t.same(replay.unexpected, [])
  })
}

void t.test('the stand-in of the other tests goes through the states that were recorded', async (t) => {
  const pairs = {
    'new-password': 'success',
    'wrong-password': 'wrong password',
    'no-address': 'no DHCP',
    'hidden-network-not-found': 'not found',
  } as const
  for (const [file, script] of Object.entries(pairs)) {
    const states = read(`${file}.json`).exchange.flatMap((said) =>
      'signal' in said && said.signal === `${nm}.Device.StateChanged` ? [said.payload.data as [number, number, number]] : [],
    )
    const start = states.findIndex(([state]) => state === 40)
    const end = states.findIndex(([state], at) => at > start && (state === 100 || state === 120))
    const seen = states.slice(start, end + 1).map(([state, , reason]) => (reason === 0 ? [state] : [state, reason]))
    t.same(seen, scripts[script], script)
  }
})
