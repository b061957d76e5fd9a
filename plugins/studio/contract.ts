import { defineContract, Type } from 'patchbay/plugin'

const closed = { additionalProperties: false }
const anyone = { anonymous: true } as const
const known = { roles: ['*'] }
const producer = { roles: ['producer'], rate: { max: 2000, windowMs: 10_000 } }

/** Of a room or a media item. */
const name = Type.String({ minLength: 1, maxLength: 100 })
const time = Type.String({ description: 'ISO 8601' })
const milliseconds = Type.Number({ description: 'Milliseconds since the epoch' })
const latency = Type.Union([Type.Number(), Type.Null()], {
  description: "Milliseconds; null without a timestamp, or with one that this machine's clock has not reached",
})
const room = Type.Object({ room: name, success: Type.Literal(true) })
const data = Type.Record(Type.String(), Type.Unknown())

const progress = {
  progress: Type.Number({ minimum: 0, maximum: 100, description: 'Percent' }),
  stage: Type.String({ minLength: 1, maxLength: 100 }),
  message: Type.Optional(Type.String({ maxLength: 1000 })),
}
const complete = {
  url: Type.String({ minLength: 1, maxLength: 2000 }),
  thumbnailUrl: Type.Optional(Type.String({ minLength: 1, maxLength: 2000 })),
  metadata: Type.Optional(data),
}
const failure = { error: Type.String({ minLength: 1, maxLength: 1000 }), code: Type.Optional(Type.String({ maxLength: 100 })) }
const note = {
  type: Type.Union([Type.Literal('info'), Type.Literal('success'), Type.Literal('warning'), Type.Literal('error')]),
  title: Type.String({ minLength: 1, maxLength: 200 }),
  message: Type.String({ maxLength: 2000 }),
  data: Type.Optional(data),
}
const mediaId = Type.Object({ mediaId: name }, closed)
const heartbeat = Type.Object({ timestamp: milliseconds, serverTime: time, latency })
const media = Type.Object({ mediaId: name })

/** Of every namespace: who is there may come in as nobody and say later who he is. */
export const entry = {
  commands: {
    authenticate: {
      description: 'Says who one is, by a token.',
      payload: Type.Object({ token: Type.String({ maxLength: 8192 }) }, closed),
      result: Type.Object({ userId: Type.String() }),
      rate: { max: 10, windowMs: 60_000 },
      ...anyone,
    },
    logout: { description: 'Nobody from now on.', ...anyone },
  },
  events: {
    welcome: {
      description: 'At once.',
      payload: Type.Object({ message: Type.String(), socketId: Type.String(), serverTime: time }),
      to: 'addressed',
    },
    authenticated: {
      payload: Type.Object({ userId: Type.String(), email: Type.Optional(Type.String()), authenticatedAt: time }),
      to: 'addressed',
    },
    authError: { payload: Type.Object({ message: Type.String() }), to: 'addressed' },
    loggedOut: { payload: Type.Object({ message: Type.String() }), to: 'addressed' },
  },
} as const

export const contract = defineContract({
  id: 'studio',
  description: 'Progress of media, notifications and rooms, for the users of a studio that log in with tokens.',
  optIn: true,
  policy: 'jwt',
  anonymous: true,
  refusals: { AUTH_INVALID: 'authError', SESSION_EXPIRED: 'authError' },
  capabilities: { clients: true },
  commands: {
    ...entry.commands,
    joinRoom: { payload: name, result: Type.Object({ room: name }), ...known },
    leaveRoom: { payload: name, result: Type.Object({ room: name }), ...known },
    getConnectionInfo: {
      result: Type.Object({
        socketId: Type.String(),
        connected: Type.Boolean(),
        rooms: Type.Array(Type.String()),
        authenticated: Type.Boolean(),
        connectedAt: time,
      }),
      ...anyone,
    },
    ping: { result: Type.Object({ timestamp: milliseconds }), ...anyone },
    heartbeat: {
      payload: Type.Union([Type.Object({ timestamp: Type.Optional(milliseconds) }, closed), Type.Null()]),
      result: heartbeat,
      ...anyone,
    },
  },
  events: {
    ...entry.events,
    roomJoined: { payload: room, to: 'addressed' },
    roomLeft: { payload: room, to: 'addressed' },
    pong: { payload: Type.Object({ timestamp: milliseconds }), to: 'addressed' },
    heartbeatAck: { payload: heartbeat, to: 'addressed' },
    projectUpdate: { description: 'To a room: what a backend says there.', payload: Type.Unknown(), to: 'addressed' },
  },
  namespaces: {
    media: {
      anonymous: true,
      commands: {
        ...entry.commands,
        subscribeMedia: { description: 'The current stage comes at once.', payload: name, result: media, ...known },
        unsubscribeMedia: { payload: name, result: media, ...known },
      },
      events: {
        ...entry.events,
        mediaProgress: { payload: Type.Object({ mediaId: name, ...progress }), to: 'addressed' },
        mediaComplete: { payload: Type.Object({ mediaId: name, ...complete }), to: 'addressed' },
        mediaError: { payload: Type.Object({ mediaId: name, ...failure }), to: 'addressed' },
      },
    },
    notifications: {
      anonymous: true,
      commands: entry.commands,
      events: {
        ...entry.events,
        notification: { payload: Type.Object({ id: Type.String(), timestamp: time, ...note }), to: 'addressed' },
      },
    },
  },
  routes: {
    'POST /api/media/:mediaId/progress': { params: mediaId, body: Type.Object(progress, closed), ...producer },
    'POST /api/media/:mediaId/complete': { params: mediaId, body: Type.Object(complete, closed), ...producer },
    'POST /api/media/:mediaId/error': { params: mediaId, body: Type.Object(failure, closed), ...producer },
    'DELETE /api/media/:mediaId': { description: 'Forgets an item: it may begin anew.', params: mediaId, ...producer },
    'POST /api/notifications': {
      description: 'To a user, wherever he is connected.',
      body: Type.Object({ userId: Type.String({ minLength: 1, maxLength: 200 }), ...note }, closed),
      result: Type.Object({ id: Type.String() }),
      ...producer,
    },
    'POST /api/rooms/:room/update': {
      description: 'A projectUpdate to a room.',
      params: Type.Object({ room: name }, closed),
      body: data,
      ...producer,
    },
  },
  settings: Type.Object(
    {
      openRooms: Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
        default: ['project-*'],
        maxItems: 100,
        description: 'Rooms that every user may join; a * stands for any characters.',
      }),
      welcome: Type.String({ default: 'Welcome.', maxLength: 500, description: 'The message of welcome.' }),
    },
    closed,
  ),
  errors: {
    STUDIO_ROOM_CLOSED: 'You may not join this room.',
    STUDIO_BACKWARDS: 'The progress of this item is further already.',
    STUDIO_FINISHED: 'This item is complete or has failed. Delete it to begin anew.',
  },
})
