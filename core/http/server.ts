import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyPluginAsync, LogController } from 'fastify'
import fastifySocketIo from 'fastify-socket.io'
import type { Logger } from 'pino'
import type { Server, ServerOptions, Socket } from 'socket.io'
import type { Guard } from './guard.ts'

export type HttpServer = FastifyInstance & { readonly io: Server }

/** The one HTTP server, with Socket.IO on it. Routes can be added until it is made `ready()`; connections come from the listener. */
export async function createHttpServer(parts: { log: Logger; guard: Guard; messageBytes: number }): Promise<HttpServer> {
  const { log, guard, messageBytes } = parts
  const app = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: 15_000,
    forceCloseConnections: true,
  })
  await app.register(
    fastifySocketIo as unknown as FastifyPluginAsync<Partial<ServerOptions> & { preClose(done: () => void): void }>,
    {
      serveClient: false,
      preClose: (done) => done(),
      connectTimeout: 10_000,
      maxHttpBufferSize: messageBytes,
      cors: { origin: (origin: string | undefined, answer) => answer(null, origin !== undefined && guard.knowsOrigin(origin)) },
    },
  )
  return app as FastifyInstance as HttpServer
}

/** Ends every connection, and the server. No client is told to leave, which would keep it from coming back by itself: it loses its connection. */
export async function closeHttpServer(app: HttpServer): Promise<void> {
  const { clients } = app.io.engine as unknown as { readonly clients: Record<string, Socket['conn']> }
  for (const connection of Object.values(clients)) connection.close()
  app.server.closeAllConnections()
  await app.close()
}
