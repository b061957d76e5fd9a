import type { Served } from '../plugin/capabilities.ts'
import { busError, type Connection, type Incoming } from './dbus-connection.ts'

const mostUnderWay = 100

/** Answers the calls of an object on this connection, those of the services that `serviceOf` knows by their unique names. */
export function handleServed(
  connection: Connection,
  path: string,
  iface: string,
  methods: Served,
  serviceOf: (sender: string) => string | undefined,
): () => void {
  let underWay = 0
  const releases = Object.entries(methods).map(([member, method]) =>
    connection.handle(path, iface, member, method.out, async ({ sender, signature, args }: Incoming) => {
      const service = serviceOf(sender)
      if (service === undefined) throw busError('AccessDenied', `${sender} may not call this.`)
      if (signature !== method.in) throw busError('InvalidArgs', `${member} takes (${method.in}), not (${signature}).`)
      if (underWay === mostUnderWay) throw busError('LimitsExceeded', 'Too many calls are under way.')
      underWay++
      try {
        return await method.handle(args, service)
      } finally {
        underWay--
      }
    }),
  )
  return () => {
    for (const release of releases) release()
  }
}
