import t from 'tap'
import { conformance } from '../../../core/testing/index.ts'

// Nothing of what the plugin needs is there.
process.env.DBUS_SYSTEM_BUS_ADDRESS = 'unix:path=/nonexistent'
void conformance(t, {
  dir: new URL('../../../dist/plugins/storage', import.meta.url).pathname,
  builtin: true,
  settings: { simulated: true },
})
