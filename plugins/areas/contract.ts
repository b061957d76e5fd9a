import { defineContract, Type } from 'patchbay/plugin'

const Id = Type.String({ pattern: '^[\\w.:-]{1,64}$' })
const Name = Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\u0000-\\u001f]*$' })
const EntityIds = Type.Array(Type.String({ pattern: '^[\\w.:-]{1,128}$' }), { maxItems: 200 })
const Time = Type.String({ description: 'ISO 8601, UTC.' })
const strict = { additionalProperties: false }
const success = Type.Boolean()

const Area = Type.Object({
  id: Id,
  name: Name,
  entityIds: EntityIds,
  isEnabled: Type.Boolean(),
  createdAt: Time,
  updatedAt: Time,
})
const changes = { name: Type.Optional(Name), entityIds: Type.Optional(EntityIds), isEnabled: Type.Optional(Type.Boolean()) }
const Changes = Type.Object(changes, { ...strict, minProperties: 1 })
const AreaAnswer = Type.Object({ success, area: Area })
const AreasAnswer = Type.Object({ success, areas: Type.Array(Area) })
const AreaParams = Type.Object({ id: Id }, strict)

const Client = Type.Object({
  id: Id,
  name: Type.String(),
  areaIds: Type.Array(Id),
  connections: Type.Integer({ description: 'On the host that was asked.' }),
  lastSeenAt: Type.Union([Time, Type.Null()]),
  revokedAt: Type.Union([Time, Type.Null()]),
})
const ClientAnswer = Type.Object({ success, client: Client })
const ClientParams = AreaParams
const AssignmentParams = Type.Object({ id: Id, areaId: Id }, strict)

const Code = Type.String({ pattern: '^[A-Za-z0-9]{6}$', description: 'As the waiting device shows it.' })
const PairingRequest = Type.Object({
  code: Type.String(),
  name: Type.String(),
  address: Type.String(),
  createdAt: Time,
  expiresAt: Time,
})
const areaIds = Type.Array(Id, { maxItems: 1000 })

/** What every event of one area carries. */
const areaFields = {
  areaId: Id,
  name: Name,
  entityIds: EntityIds,
  isEnabled: Type.Boolean(),
  message: Type.String(),
  timestamp: Time,
}
const eventId = Type.String({ description: 'Names the event to its client: `lastEventId` of its next handshake.' })
const AreaEvent = Type.Object({ ...areaFields, eventId })
const to = 'addressed'

const admin = { roles: ['admin'], rate: { max: 300, windowMs: 10_000 } } as const
const either = { roles: ['admin', 'client'] } as const

export const areas = defineContract({
  id: 'areas',
  optIn: true,
  description:
    'Tells the clients of a home server when the areas assigned to them change; pairing, revocation, a REST API for the admin.',
  policy: 'jwt',
  capabilities: { clients: true, store: true },
  connectionsPerMinute: 10,
  handshake: Type.Object({
    lastEventId: Type.Optional(
      Type.String({ maxLength: 32, description: 'Of the last event that it has: it gets those after it.' }),
    ),
    acknowledge: Type.Optional(
      Type.Boolean({ description: 'It acknowledges events: critical ones are sent again until it does.' }),
    ),
    bulk: Type.Optional(Type.Boolean({ description: 'A change of several areas comes as one `areas_updated`.' })),
  }),
  settings: Type.Object(
    {
      pairingLifetimeS: Type.Integer({
        minimum: 30,
        maximum: 3600,
        default: 300,
        description: 'How long a code is good, in seconds.',
      }),
      tokenLifetimeS: Type.Integer({
        minimum: 60,
        maximum: 315_360_000,
        default: 31_536_000,
        description: 'How long the token of a paired client is good, in seconds.',
      }),
      retryMs: Type.Integer({
        minimum: 10,
        maximum: 60_000,
        default: 5000,
        description: 'How long an acknowledgement is waited for, in milliseconds; each further time twice as long.',
      }),
    },
    strict,
  ),
  events: {
    connected: {
      description: 'The token is good: to whoever connects.',
      payload: Type.Object({ clientId: Id, message: Type.String(), features: Type.Array(Type.String()), timestamp: Time }),
      to,
    },
    area_added: { description: 'An area was assigned to the client.', payload: AreaEvent, to },
    area_removed: { description: 'An area was taken from the client, or is no more.', payload: AreaEvent, to },
    area_updated: { description: 'An area of the client was changed.', payload: AreaEvent, to },
    area_enabled: { description: 'An area of the client was switched on.', payload: AreaEvent, to },
    area_disabled: { description: 'An area of the client was switched off.', payload: AreaEvent, to },
    areas_updated: {
      description: 'Several areas of the client were changed at once; only to clients that asked for `bulk`.',
      payload: Type.Object({
        areas: Type.Array(Type.Object(areaFields)),
        count: Type.Integer(),
        message: Type.String(),
        timestamp: Time,
        eventId,
      }),
      to,
    },
    token_revoked: {
      description: 'The token is good no longer; the connection is closed after this.',
      payload: Type.Object({ message: Type.String(), timestamp: Time }),
      to,
    },
    pairing_completed: {
      description: 'The admin has approved: to the device that waits.',
      payload: Type.Object({ token: Type.String(), clientId: Id, assignedAreas: Type.Array(Id) }),
      to,
    },
  },
  routes: {
    'GET /api/auth/verify': {
      description: 'Whose token this is.',
      roles: ['admin', 'client', 'pairing'],
      result: Type.Object({ success, valid: Type.Boolean(), clientId: Id, roles: Type.Array(Type.String()), expiresAt: Time }),
    },
    'GET /api/areas': { description: 'All areas; to a client those of its own.', ...either, result: AreasAnswer },
    'POST /api/areas': {
      description: 'Makes an area.',
      ...admin,
      body: Type.Object({ ...changes, id: Type.Optional(Id), name: Name }, strict),
      result: AreaAnswer,
    },
    'PATCH /api/areas': {
      description: 'Changes several areas alike, at once.',
      ...admin,
      body: Type.Object({ ids: Type.Array(Id, { minItems: 1, maxItems: 100, uniqueItems: true }), changes: Changes }, strict),
      result: AreasAnswer,
    },
    'GET /api/areas/:id': {
      description: 'One area; to a client one of its own.',
      ...either,
      params: AreaParams,
      result: AreaAnswer,
    },
    'PUT /api/areas/:id': {
      description: 'Changes what the body names.',
      ...admin,
      params: AreaParams,
      body: Changes,
      result: AreaAnswer,
    },
    'PATCH /api/areas/:id': { description: 'The same.', ...admin, params: AreaParams, body: Changes, result: AreaAnswer },
    'PATCH /api/areas/:id/toggle': {
      description: 'Switches it on if it is off, and off if it is on.',
      ...admin,
      params: AreaParams,
      result: AreaAnswer,
    },
    'DELETE /api/areas/:id': { description: 'Removes it, also from clients.', ...admin, params: AreaParams, result: AreaAnswer },
    'GET /api/clients': { description: 'All clients.', ...admin, result: Type.Object({ success, clients: Type.Array(Client) }) },
    'GET /api/clients/:id': { description: 'One client.', ...admin, params: ClientParams, result: ClientAnswer },
    'PUT /api/clients/:id/areas': {
      description: 'Assigns exactly these areas to it.',
      ...admin,
      params: ClientParams,
      body: Type.Object({ areaIds }, strict),
      result: ClientAnswer,
    },
    'PUT /api/clients/:id/areas/:areaId': {
      description: 'Assigns an area to it.',
      ...admin,
      params: AssignmentParams,
      result: ClientAnswer,
    },
    'DELETE /api/clients/:id/areas/:areaId': {
      description: 'Takes an area from it.',
      ...admin,
      params: AssignmentParams,
      result: ClientAnswer,
    },
    'POST /api/clients/:id/revoke': {
      description: 'Its tokens until now are good no longer.',
      ...admin,
      params: ClientParams,
      result: ClientAnswer,
    },
    'POST /api/pairing/requests': {
      description:
        'A new device asks to be let in: it shows the code, connects with the secret as its token, and waits for `pairing_completed`.',
      anonymous: true,
      body: Type.Object({ name: Type.Optional(Name) }, strict),
      rate: { max: 5, windowMs: 60_000 },
      result: Type.Object({ success, code: Type.String(), secret: Type.String(), expiresAt: Time }),
    },
    'GET /api/pairing/requests': {
      description: 'Those who wait.',
      ...admin,
      result: Type.Object({ success, requests: Type.Array(PairingRequest) }),
    },
    'POST /api/pairing/approve': {
      description: 'Makes the device that shows this code a client with these areas.',
      ...admin,
      body: Type.Object({ code: Code, name: Type.Optional(Name), areaIds }, strict),
      result: ClientAnswer,
    },
    'POST /api/pairing/reject': {
      description: 'Sends the device that shows this code away.',
      ...admin,
      body: Type.Object({ code: Code }, strict),
      result: Type.Object({ success }),
    },
  },
  errors: {
    AREA_NOT_FOUND: 'There is no such area.',
    AREA_EXISTS: 'There is an area with this id.',
    CLIENT_NOT_FOUND: 'There is no such client.',
    CLIENT_REVOKED: 'This token was revoked. Pair the device again.',
    PAIRING_NOT_FOUND: 'Nobody waits with this code.',
    PAIRING_FULL: 'Too many devices wait to be paired. Try again in some minutes.',
    FULL: 'There are as many as there may be.',
  },
})
