import { connect, connectLater, stats } from './handlers.js'

export default {
  start(context) {
    context.handle('bench:connect', connect)
    context.handle('bench:connect-later', connectLater)
    context.handle('bench:publish', () => context.publish('bench:stats', stats))
  },
}
