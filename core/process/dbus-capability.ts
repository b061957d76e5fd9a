import type { DBus } from '../plugin/capabilities.ts'
import type { Bus } from './dbus.ts'
import { busError } from './dbus-connection.ts'

/** The capability: the services that the contract names. */
export function createDBus(bus: Bus, allowed: readonly string[]): DBus {
  const check = (service: string) => {
    if (!allowed.includes(service)) throw busError('AccessDenied', `The contract does not name the D-Bus service ${service}.`)
  }
  return {
    async call({ ...request }) {
      check(request.service)
      return bus.call(request)
    },
    watchName(service, listener) {
      check(service)
      return bus.watchName(service, listener)
    },
    uniqueName: () => bus.uniqueName(),
    onSignal(service, { ...filter }, listener) {
      check(service)
      return bus.onSignal(service, filter, listener)
    },
    watchObjects(service, { ...options }, onChange) {
      check(service)
      return bus.watchObjects(service, options, onChange)
    },
    serve: (path, iface, methods) => bus.serve(path, iface, methods, allowed),
  }
}
