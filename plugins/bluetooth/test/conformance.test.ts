import t from 'tap'
import { conformance } from '../../../core/testing/index.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { startMock } from './mock.ts'

const bus = await new PrivateBus(t).start()
const mock = await startMock(t, bus)
await mock('AddAdapter', 'ss', 'hci0', 'testpi')
process.env.DBUS_SYSTEM_BUS_ADDRESS = bus.address
void conformance(t, { dir: new URL('../../../dist/plugins/bluetooth', import.meta.url).pathname, builtin: true })
