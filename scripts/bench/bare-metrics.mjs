// What scraping is compared with: Socket.IO alone, with prom-client's default metrics, which begin when they are first asked for.
import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { stats } from './plugin/handlers.js'

let register
const http = createServer((_request, response) => void answer(response))
async function answer(response) {
  if (!register) {
    const { default: client } = await import('prom-client')
    register = new client.Registry()
    client.collectDefaultMetrics({ register })
  }
  response.setHeader('Content-Type', register.contentType).end(await register.metrics())
}
const io = new Server(http, { serveClient: false })
io.on('connection', (socket) => socket.on('module:subscribe', (_payload, ack) => ack({ success: true })))
// As often as the plugin system, and as much.
setInterval(() => io.emit('system:stats', stats), 2000)
http.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}`))
