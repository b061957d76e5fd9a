import * as os from 'node:os'
import t from 'tap'
import { askModel, readInfo } from '../driver/info.ts'
import { isRaspberryPi, readThrottling } from '../driver/throttling.ts'
import { openMachine } from './machine.ts'

const nobody = () => Promise.reject(new Error('the library was asked'))

void t.test('a Pi tells its model and serial number from the device tree', async (t) => {
  const { root } = openMachine(t, 'raspberry-pi-5-by-documentation')
  t.same(await readInfo(root, nobody), {
    hostname: os.hostname(),
    os: { distro: 'Debian GNU/Linux', release: '12', codename: 'bookworm', kernel: os.release(), arch: os.arch() },
    hardware: { model: 'Raspberry Pi 5 Model B Rev 1.0', serial: '1234567890abcdef' },
  })
})

void t.test('a PC tells vendor and product; a serial number that only root may read is empty', async (t) => {
  const { root } = openMachine(t, 'container-host-by-documentation')
  const { os: system, hardware } = await readInfo(root, nobody)
  t.match(system, { distro: 'Ubuntu', release: '24.04', codename: 'noble' })
  t.same(hardware, { model: 'Dell Inc. OptiPlex 3060', serial: '' })
})

void t.test('forms that the vendor left unfilled are not told, and the library is asked instead', async (t) => {
  const pc = openMachine(t, 'container-host-by-documentation')
  pc.write('sys/class/dmi/id/product_name', 'To Be Filled By O.E.M.\n')
  pc.write('sys/class/dmi/id/sys_vendor', 'System manufacturer\n')
  pc.write('sys/class/dmi/id/product_serial', 'Default string\n')
  t.same((await readInfo(pc.root, async () => 'asked')).hardware, { model: 'asked', serial: '' })
  pc.write('sys/class/dmi/id/board_name', 'B450M\n')
  pc.write('sys/class/dmi/id/board_vendor', 'ASRock\n')
  t.same((await readInfo(pc.root, nobody)).hardware, { model: 'ASRock B450M', serial: '' })
})

void t.test('without os-release the fields are empty', async (t) => {
  const { root } = openMachine(t, 'inside-container-by-documentation')
  t.match((await readInfo(root, async () => '')).os, { distro: '', release: '', codename: '' })
})

void t.test('systeminformation answers on the real machine', async (t) => {
  t.type(await askModel(), 'string')
})

void t.test('throttling is read from the bits of vcgencmd', async (t) => {
  const asked: unknown[] = []
  const answer = (stdout: string, exitCode = 0) => {
    const run = async (...call: unknown[]) => {
      asked.push(call)
      return { exitCode, stdout }
    }
    return readThrottling({ run })
  }
  t.same(await answer('throttled=0x50005\n'), { now: ['under-voltage', 'throttled'], sinceStart: ['under-voltage', 'throttled'] })
  t.same(await answer('throttled=0x80002\n'), { now: ['frequency-capped'], sinceStart: ['temperature-limit'] })
  t.same(await answer('throttled=0x0\n'), { now: [], sinceStart: [] })
  t.equal(await answer('VCHI initialization failed\n'), undefined)
  t.equal(await answer('throttled=0x0\n', 255), undefined)
  t.same(asked[0], ['vcgencmd', ['get_throttled'], { timeoutMs: 2000 }])
})

void t.test('only a Raspberry Pi is taken for one', (t) => {
  t.ok(isRaspberryPi(openMachine(t, 'raspberry-pi-5-by-documentation').root))
  t.notOk(isRaspberryPi(openMachine(t, 'debian12-microvm').root))
  t.end()
})
