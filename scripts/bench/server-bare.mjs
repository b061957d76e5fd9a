// What the benches compare with: Socket.IO alone, with the handlers of plugin/.
import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { connect, connectLater, stats } from './plugin/handlers.js'

const http = createServer()
const io = new Server(http, { serveClient: false })
io.on('connection', (socket) => {
  socket.on('module:subscribe', (_payload, ack) => {
    void socket.join('module:bench')
    ack({ success: true })
  })
  socket.on('bench:connect', (payload, ack) => ack({ success: true, ...connect(payload) }))
  socket.on('bench:connect-later', async (payload, ack) => ack({ success: true, ...(await connectLater(payload)) }))
  socket.on('bench:publish', (ack) => {
    io.to('module:bench').emit('bench:stats', stats)
    ack({ success: true })
  })
})
http.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}`))
