import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'

/** Does the work while the server is profiled, if a directory was given to leave the profile in. */
export async function profiled(dir, server, name, work) {
  if (!dir) return
  await mkdir(dir, { recursive: true })
  await server.ask('startProfile')
  await work()
  await server.ask('stopProfile', resolve(join(dir, `${name.replaceAll(' ', '-')}.cpuprofile`)))
}
