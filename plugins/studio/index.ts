import { randomUUID } from 'node:crypto'
import { type ConnectedClient, definePlugin, type Group } from 'patchbay/plugin'
import { contract, type entry } from './contract.ts'
import { Board, type Stage } from './driver/board.ts'
import { mayJoin, userRoom } from './driver/rooms.ts'

export default definePlugin(contract, {
  start(ctx) {
    const { clients, settings } = ctx
    const [media, notifications] = [ctx.namespace('media'), ctx.namespace('notifications')]
    /** Everybody comes in by the same events. */
    const groups = { '': ctx, media, notifications } as unknown as Record<string, Group<typeof entry>>
    const groupOf = ({ group }: ConnectedClient) => groups[group] as Group<typeof entry>
    const board = new Board()
    const now = () => new Date().toISOString()
    const subjectOf = ({ claims }: { claims: Readonly<Record<string, unknown>> }) => String(claims.sub)

    /** What follows from being known: the room of the user, and the word that he is. */
    const enter = async (client: ConnectedClient) => {
      await clients.join(client.clientId, userRoom(subjectOf(client)))
      const { email } = client.claims
      const said = { userId: subjectOf(client), ...(typeof email === 'string' && { email }), authenticatedAt: now() }
      groupOf(client).send({ client: client.clientId }, 'authenticated', said)
    }
    const leaveAll = (client: ConnectedClient) => Promise.all(client.rooms.map((room) => clients.leave(client.clientId, room)))

    clients.onConnect(async (client) => {
      if (client.isKnown) return
      const { clientId } = client
      groupOf(client).send({ client: clientId }, 'welcome', { message: settings.welcome, socketId: clientId, serverTime: now() })
      if (!client.isAnonymous) await enter(client)
    })
    for (const group of Object.values(groups)) {
      group.handle('authenticate', async ({ token }, { caller: { clientId } }) => {
        const before = await clients.get(clientId)
        const client = await clients.identify(clientId, token)
        if (!before || !client) throw ctx.error('TIMEOUT')
        await leaveAll(before)
        await enter(client)
        return { userId: subjectOf(client) }
      })
      group.handle('logout', async (_, { caller: { clientId } }) => {
        const client = await clients.get(clientId)
        if (client) await leaveAll(client)
        await clients.anonymize(clientId)
        group.send({ client: clientId }, 'loggedOut', { message: 'You are logged out.' })
      })
    }

    ctx.handle('joinRoom', async (room, { caller: { clientId, claims } }) => {
      if (!mayJoin(room, settings.openRooms, claims)) throw ctx.error('STUDIO_ROOM_CLOSED')
      await clients.join(clientId, room)
      ctx.send({ client: clientId }, 'roomJoined', { room, success: true })
      return { room }
    })
    ctx.handle('leaveRoom', async (room, { caller: { clientId } }) => {
      await clients.leave(clientId, room)
      ctx.send({ client: clientId }, 'roomLeft', { room, success: true })
      return { room }
    })
    ctx.handle('getConnectionInfo', async (_, { caller: { clientId } }) => {
      const client = await clients.get(clientId)
      if (!client) throw ctx.error('TIMEOUT')
      const { rooms, isAnonymous, connectedAt } = client
      const connectedSince = new Date(connectedAt).toISOString()
      return { socketId: clientId, connected: true, rooms: [...rooms], authenticated: !isAnonymous, connectedAt: connectedSince }
    })
    ctx.handle('ping', (_, { caller: { clientId } }) => {
      const answer = { timestamp: Date.now() }
      ctx.send({ client: clientId }, 'pong', answer)
      return answer
    })
    ctx.handle('heartbeat', (beat, { caller: { clientId } }) => {
      const timestamp = Date.now()
      const sent = beat?.timestamp
      const latency = sent === undefined || sent > timestamp ? null : timestamp - sent
      const answer = { timestamp, serverTime: new Date(timestamp).toISOString(), latency }
      ctx.send({ client: clientId }, 'heartbeatAck', answer)
      return answer
    })

    const roomOf = (mediaId: string) => `media:${mediaId}`
    const tell = (target: { client: string } | { room: string }, mediaId: string, { event, ...stage }: Stage) =>
      media.send(target, event, { mediaId, ...stage } as never)
    media.handle('subscribeMedia', async (mediaId, { caller: { clientId } }) => {
      await clients.join(clientId, roomOf(mediaId))
      const stage = board.stageOf(mediaId)
      if (stage) tell({ client: clientId }, mediaId, stage)
      return { mediaId }
    })
    media.handle('unsubscribeMedia', async (mediaId, { caller: { clientId } }) => {
      await clients.leave(clientId, roomOf(mediaId))
      return { mediaId }
    })

    const take = (mediaId: string, stage: Stage) => {
      const problem = board.report(mediaId, stage)
      if (problem) throw ctx.error(problem === 'backwards' ? 'STUDIO_BACKWARDS' : 'STUDIO_FINISHED', undefined, { status: 409 })
      tell({ room: roomOf(mediaId) }, mediaId, stage)
      return { status: 202, json: { success: true } }
    }
    ctx.serve('POST /api/media/:mediaId/progress', ({ params, body }) =>
      take(params.mediaId, { event: 'mediaProgress', ...body }),
    )
    ctx.serve('POST /api/media/:mediaId/complete', ({ params, body }) =>
      take(params.mediaId, { event: 'mediaComplete', ...body }),
    )
    ctx.serve('POST /api/media/:mediaId/error', ({ params, body }) => take(params.mediaId, { event: 'mediaError', ...body }))
    ctx.serve('DELETE /api/media/:mediaId', ({ params }) => {
      board.forget(params.mediaId)
      return { json: { success: true } }
    })
    ctx.serve('POST /api/notifications', ({ body: { userId, ...note } }) => {
      const id = randomUUID()
      notifications.send({ room: userRoom(userId) }, 'notification', { id, timestamp: now(), ...note })
      return { status: 202, json: { id } }
    })
    ctx.serve('POST /api/rooms/:room/update', ({ params, body }) => {
      ctx.send({ room: params.room }, 'projectUpdate', body)
      return { status: 202, json: { success: true } }
    })
  },
})
