import { defineContract, Type } from 'patchbay/plugin'

const Resolution = Type.Union([Type.Literal('480p'), Type.Literal('720p'), Type.Literal('1080p')], {
  description: '640x480, 1280x720, 1920x1080',
})
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(type: T) => Type.Union([type, Type.Null()])
const description = (type: 'offer' | 'answer') =>
  Type.Object(
    { type: Type.Optional(Type.Literal(type)), sdp: Type.String({ maxLength: 20_000 }) },
    { additionalProperties: false, description: 'RTCSessionDescriptionInit' },
  )
const Candidate = Type.Object(
  {
    candidate: Type.Optional(Type.String({ maxLength: 1000 })),
    sdpMid: Type.Optional(orNull(Type.String({ maxLength: 32 }))),
    sdpMLineIndex: Type.Optional(orNull(Type.Integer({ minimum: 0, maximum: 65_535 }))),
    usernameFragment: Type.Optional(orNull(Type.String({ maxLength: 256 }))),
  },
  { additionalProperties: false, description: 'RTCIceCandidateInit' },
)
const IceServers = Type.Array(
  Type.Object({
    urls: Type.Array(Type.String()),
    username: Type.Optional(Type.String()),
    credential: Type.Optional(Type.String()),
  }),
  { description: 'RTCConfiguration.iceServers, with a password that is the user’s own and lasts an hour at most' },
)

const Camera = Type.Object({
  id: Type.String({ description: 'the same whenever it is plugged in again, where the camera tells who it is' }),
  name: Type.String(),
  kind: Type.Union([Type.Literal('v4l2'), Type.Literal('rpicam'), Type.Literal('rtsp'), Type.Literal('simulated')]),
  resolutions: Type.Array(Resolution),
})
const Problem = Type.Object({ code: Type.String(), message: Type.String() })
const figure = Type.Number({ minimum: 0 })

const Status = Type.Object({
  camera: orNull(Camera),
  encoder: orNull(Type.String({ description: 'such as libx264; none: the camera’s own H.264 is passed on' })),
  simulated: Type.Boolean({ description: 'the picture is a test pattern that the settings ask for' }),
  capturing: Type.Boolean(),
  outputs: Type.Array(
    Type.Object({
      resolution: Resolution,
      frameRate: figure,
      bitrateKbps: Type.Number({ minimum: 0, description: 'that came over the last seconds' }),
    }),
  ),
  quality: Type.Object(
    { frameRate: figure, bitrateKbps: figure, reason: orNull(Type.String({ description: 'why it is not what was set' })) },
    { description: 'what is asked of the encoder' },
  ),
  problem: orNull(Problem),
})

const Viewer = Type.Object({
  userId: Type.String(),
  since: Type.String({ description: 'ISO 8601' }),
  state: Type.Union([Type.Literal('connecting'), Type.Literal('watching'), Type.Literal('interrupted')]),
  resolution: Resolution,
  wanted: Resolution,
  reason: orNull(Type.String({ description: 'why it is interrupted or gets another resolution than it wanted' })),
  frameRate: Type.Number({ minimum: 0, description: 'pictures a second, sent' }),
  bitrateKbps: figure,
  lostPercent: Type.Number({ minimum: 0, maximum: 100, description: 'of the packets, by its browser’s last report' }),
  roundTripMs: orNull(figure),
  latencyMs: orNull(Type.Number({ minimum: 0, description: 'from exposure to arrival; what the browser adds is not in it' })),
})
const Viewers = Type.Object({
  viewers: Type.Array(Viewer),
  snapshots: Type.Array(Type.Object({ userId: Type.String(), at: Type.String({ description: 'ISO 8601' }) }), {
    description: 'who took the last twenty, newest first, since the plugin started',
  }),
})

const command = { role: 'operator' } as const
const signalling = { ...command, rate: { max: 12, windowMs: 30_000 } } as const
const url = (scheme: string, example: string) =>
  Type.String({
    pattern: `^${scheme}:([\\w.-]+|\\[[0-9a-fA-F:]+\\])(:\\d{1,5})?$`,
    maxLength: 256,
    description: `such as ${example}`,
  })
const list = <T extends Parameters<typeof Type.Array>[0]>(items: T, about: string, maxItems = 8) =>
  Type.Array(items, { maxItems, default: [], description: about })

export const camera = defineContract({
  id: 'camera',
  description: 'Live picture of a camera over WebRTC, and snapshots',
  ownProcess: true,
  subscribeRole: 'operator',
  needs: {
    tools: {
      ffmpeg: { package: 'ffmpeg' },
      'rpicam-vid': { package: 'rpicam-apps', optional: true },
      'libcamera-vid': { package: 'libcamera-apps', optional: true },
    },
    groups: { video: 'Cameras belong to it.' },
  },
  capabilities: {
    exec: ['ffmpeg', 'ffprobe', 'mkfifo', 'rpicam-vid', 'rpicam-hello', 'libcamera-vid', 'libcamera-hello'],
    network: true,
    addons: true,
  },
  settings: Type.Object(
    {
      camera: Type.String({
        maxLength: 256,
        default: '',
        description: 'Id of the camera to use, as `camera:cameras` lists it; empty: the first.',
      }),
      network: list(
        Type.Object(
          {
            name: Type.String({ minLength: 1, maxLength: 64 }),
            url: Type.String({ pattern: '^rtsp://', maxLength: 1024, description: 'may hold name and password' }),
          },
          { additionalProperties: false },
        ),
        'Cameras of the network that speak RTSP.',
      ),
      simulated: Type.Boolean({
        default: false,
        description: 'A moving test pattern as a further camera, called simulated wherever it is shown.',
      }),
      encoder: Type.String({
        pattern: '^[a-z0-9_]+$',
        maxLength: 32,
        default: 'auto',
        description: 'The encoder of ffmpeg; auto: the best that works here.',
      }),
      frameRate: Type.Integer({
        minimum: 15,
        maximum: 30,
        default: 24,
        description: 'Pictures a second; less while the machine is busy.',
      }),
      bitrateKbps: Type.Integer({ minimum: 500, maximum: 3000, default: 1500, description: 'To begin with.' }),
      maxBitrateKbps: Type.Integer({
        minimum: 500,
        maximum: 3000,
        default: 3000,
        description: 'Where the viewers’ connections carry it.',
      }),
      maxViewers: Type.Integer({ minimum: 1, maximum: 50, default: 10 }),
      snapshotResolution: Type.Union([Type.Literal('auto'), Resolution], {
        default: 'auto',
        description: 'auto: that of the stream, or the largest.',
      }),
      snapshotQuality: Type.Integer({ minimum: 1, maximum: 100, default: 85 }),
      stun: list(
        url('stun', 'stun:192.0.2.1:3478'),
        'STUN servers, which tell both ends how the internet sees them. None by default.',
      ),
      turn: list(url('turn', 'turn:192.0.2.1:3478'), 'TURN servers, which relay the picture (UDP).'),
      turnSecret: Type.String({
        maxLength: 256,
        default: '',
        description: 'What the TURN servers share with Patchbay (coturn: static-auth-secret).',
      }),
      turnSeconds: Type.Integer({
        minimum: 60,
        maximum: 3600,
        default: 3600,
        description: 'How long a user’s password for them lasts.',
      }),
      relayOnly: Type.Boolean({ default: false, description: 'Tells viewers no address of this machine, only the relay’s.' }),
      interfaces: list(
        Type.String({ pattern: '^[\\w.:@-]{1,32}$', description: 'such as eth0' }),
        'Network interfaces that the picture may be sent from; empty: all.',
      ),
      localAddresses: Type.Boolean({ default: false, description: 'Loopback and link-local addresses take part, too.' }),
      udpPort: Type.Integer({
        minimum: 0,
        maximum: 65_535,
        default: 0,
        description: 'One UDP port for all viewers, for a firewall; 0: any.',
      }),
    },
    { additionalProperties: false },
  ),
  commands: {
    'camera:start': {
      ...command,
      description: 'Asks for the picture, which is offered by camera:offer; while one watches, for another resolution',
      payload: Type.Object({ resolution: Resolution }, { additionalProperties: false }),
      result: Type.Object({ resolution: Resolution, iceServers: IceServers }),
      timeoutMs: 10_000,
      rate: { max: 3, windowMs: 30_000 },
    },
    'camera:stop': { ...command, description: 'The picture is not wanted any more' },
    'camera:snapshot': {
      ...command,
      description: 'One picture, which comes as camera:snapshot_result before this is answered',
      result: Type.Object({ timestamp: Type.Number() }),
      timeoutMs: 10_000,
      rate: { max: 5, windowMs: 10_000 },
      inFlight: 2,
    },
    'camera:offer': {
      ...signalling,
      description: 'The client’s own offer to receive a picture, answered by camera:answer',
      payload: description('offer'),
    },
    'camera:answer': { ...signalling, description: 'The client’s answer to what it was offered', payload: description('answer') },
    'camera:ice_candidate': {
      ...command,
      description: 'A way to the client; also before what it belongs to. Names, loopback and link-local addresses are not used',
      payload: orNull(Candidate),
      result: Type.Object({ used: Type.Boolean() }),
      rate: { max: 150, windowMs: 30_000 },
      inFlight: 64,
    },
    'camera:ice_servers': {
      ...command,
      description: 'STUN and TURN servers for a client that makes its own offer',
      result: Type.Object({ iceServers: IceServers }),
    },
  },
  events: {
    'camera:offer': {
      description: 'To the client that started, without candidates',
      payload: Type.Object({ type: Type.Literal('offer'), sdp: Type.String(), iceServers: Type.Optional(IceServers) }),
      to: 'addressed',
    },
    'camera:answer': {
      description: 'To the client that offered, without candidates',
      payload: Type.Object({ type: Type.Literal('answer'), sdp: Type.String() }),
      to: 'addressed',
    },
    'camera:ice_candidate': {
      payload: Type.Object({ candidate: Type.String(), sdpMid: Type.String(), sdpMLineIndex: Type.Integer() }),
      to: 'addressed',
    },
    'camera:snapshot_result': {
      description: 'A JPEG, to the asker only',
      payload: Type.Object({
        base64: Type.String(),
        timestamp: Type.Number({ description: 'of its exposure, milliseconds since the epoch' }),
      }),
      to: 'addressed',
    },
    'camera:error': {
      description: 'Accompanies what the error channel says, for those whom it concerns',
      payload: Type.Object({ message: Type.String(), code: Type.String() }),
      to: 'addressed',
    },
    'camera:status': { payload: Status, retained: true },
    'camera:cameras': { payload: Type.Array(Camera), retained: true },
    'camera:viewers': { description: 'Who watches and who took a snapshot', payload: Viewers, retained: true },
  },
  errors: {
    CAMERA_NOT_FOUND: 'There is no camera.',
    CAMERA_BUSY: 'Another program uses the camera.',
    CAMERA_UNPLUGGED: 'The camera was unplugged.',
    CAMERA_PERMISSION: 'This user may not open the camera.',
    CAMERA_TOOL_MISSING: 'The program that reads the camera is not installed.',
    CAMERA_NO_ENCODER: 'No encoder for H.264 works on this machine.',
    CAMERA_UNREACHABLE: 'The camera does not answer.',
    CAMERA_FAILED: 'The camera gives no picture; try again.',
    CAMERA_NO_H264: 'This browser takes no H.264.',
    CAMERA_BAD_SIGNAL: 'The description or candidate cannot be used.',
    CAMERA_NO_PATH: 'There is no way for the picture between your device and this machine.',
    CAMERA_CONNECTION_LOST: 'The connection for the picture broke off. Start again.',
    CAMERA_NOT_WATCHING: 'Nothing was offered to you: camera:start comes first.',
    CAMERA_TOO_MANY_VIEWERS: 'As many watch as may.',
    CAMERA_NO_WEBRTC: 'There is no WebRTC for this machine.',
  },
})
