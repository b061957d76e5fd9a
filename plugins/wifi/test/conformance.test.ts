import t from 'tap'
import { conformance } from '../../../core/testing/index.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { NetworkManagerStandIn } from './network-manager.ts'

const bus = await new PrivateBus(t).start()
const service = await new NetworkManagerStandIn(bus)
  .addDevice()
  .hear([{ ssid: 'Home', rsn: 0x188 }])
  .start()
t.teardown(() => service.stop())
process.env.DBUS_SYSTEM_BUS_ADDRESS = bus.address
void conformance(t, { dir: new URL('../../../dist/plugins/wifi', import.meta.url).pathname, builtin: true })
