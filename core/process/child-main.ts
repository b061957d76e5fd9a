import { connect, Socket } from 'node:net'
import { Child } from './child.ts'
import { killMarked, mark } from './sweep.ts'

// The process of one plugin. launch.ts starts it with the channel at descriptor 3, unit-launch.ts with a socket to connect to.
const { PATCHBAY_CHANNEL: path, PATCHBAY_BUS_UID: busUid } = process.env
// The bus knows who asks by the proxy, which is the daemon's user.
if (busUid) process.getuid = () => Number(busUid)
// Or others might open the inspector of this process.
process.on('SIGUSR1', () => undefined)
process.umask(0o077)
const end = () => {
  killMarked(process.env[mark] ?? '')
  process.exit()
}
const api = new URL(import.meta.url.endsWith('.ts') ? '../plugin/index.ts' : './plugin.js', import.meta.url)
const child = new Child(path ? connect(path) : new Socket({ fd: 3 }), api.href, end)
process.on('uncaughtException', (error) => child.fail(error))
process.on('unhandledRejection', (error) => child.fail(error))
