// What the app is compared with: a page that shows one figure of the machine, from Socket.IO alone.
import { createServer } from 'node:http'
import { freemem, totalmem } from 'node:os'
import { Server } from 'socket.io'

const page = `<!doctype html><title>memory</title><p data-figure="memory"></p><script src="/socket.io/socket.io.min.js"></script>
<script>io({ transports: ['websocket'] }).on('memory', (percent) => { document.querySelector('p').textContent = percent + ' %' })</script>`
const http = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(page))
new Server(http).on('connection', (socket) => socket.emit('memory', Math.round(100 * (1 - freemem() / totalmem()))))
http.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}`))
