import t from 'tap'
import { conformance } from '../../../core/testing/index.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { Avahi } from './avahi.ts'

const bus = await new PrivateBus(t).start()
await new Avahi(bus).start()
process.env.DBUS_SYSTEM_BUS_ADDRESS = bus.address
void conformance(t, { dir: new URL('../../../dist/plugins/mdns', import.meta.url).pathname, builtin: true })
