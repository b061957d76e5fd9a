import { Socket } from 'node:net'
import { Child } from './child.ts'
import { killMarked, mark } from './sweep.ts'

// The process of one plugin: launch.ts starts it, with the channel at descriptor 3.
const end = () => {
  killMarked(process.env[mark] ?? '')
  process.exit()
}
const api = new URL(import.meta.url.endsWith('.ts') ? '../plugin/index.ts' : './plugin.js', import.meta.url)
const child = new Child(new Socket({ fd: 3 }), api.href, end)
process.on('uncaughtException', (error) => child.fail(error))
process.on('unhandledRejection', (error) => child.fail(error))
