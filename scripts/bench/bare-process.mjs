// What start and idle are compared with: the libraries that Patchbay is made of, imported and listening.
import { createRequire } from 'node:module'
import { Ajv } from 'ajv'
import Fastify from 'fastify'
import { pino } from 'pino'
import { Server } from 'socket.io'

const log = pino()
const app = Fastify({ loggerInstance: log })
const io = new Server(app.server)
const ajv = new Ajv()
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
log.info('is running')
// Keeps them from being collected; and tells which files were read, for a cold start.
process.on('SIGUSR2', () => io.emit('x', ajv.errors))
if (process.env.LIST_FILES) console.log(`files ${JSON.stringify(Object.keys(createRequire(import.meta.url).cache))} end`)
