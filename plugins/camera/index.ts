import { definePlugin } from 'patchbay/plugin'
import { camera } from './contract.ts'
import { CameraFailure } from './driver/failure.ts'
import { createLens } from './driver/lens.ts'
import type { CameraInfo, LensStatus, Problem } from './driver/types.ts'
import { clientServers, ownServers } from './peer/ice-servers.ts'
import { loadLibrary } from './peer/load.ts'
import { Refusal } from './peer/refusal.ts'
import { Snapshots } from './peer/snapshots.ts'
import { Throttle } from './peer/throttle.ts'
import { Viewers } from './peer/viewers.ts'

/** Milliseconds: as often as a person can follow. */
const publishMs = 500

export default definePlugin(camera, {
  start(ctx) {
    const { settings } = ctx
    const { stun, turn, turnSecret, turnSeconds, frameRate, bitrateKbps, maxBitrateKbps } = settings
    if (turn.length > 0 && !turnSecret) throw new Error('Its settings name TURN servers but no turnSecret, which these ask for.')
    if (settings.relayOnly && turn.length === 0) throw new Error('Its settings say relayOnly but name no TURN server.')
    const ice = { stun, turn, turnSecret, turnSeconds }
    const lens = ctx.own(createLens(ctx.exec, settings))
    lens.retarget({ frameRate, bitrateKbps })
    const snapshots = new Snapshots()

    const viewers = ctx.own(
      new Viewers({
        lens,
        library: () => loadLibrary((line) => ctx.log.warn({ line }, 'WebRTC')),
        connection: () => ({
          iceServers: ownServers(ice),
          udpPort: settings.udpPort,
          interfaces: settings.interfaces,
          local: settings.localAddresses,
          relayOnly: settings.relayOnly,
        }),
        maxViewers: settings.maxViewers,
        quality: { frameRate, bitrateKbps, maxBitrateKbps },
        description({ clientId, userId }, type, sdp) {
          const iceServers = clientServers(userId, ice)
          if (type === 'answer') ctx.send({ client: clientId }, 'camera:answer', { type, sdp })
          else ctx.send({ client: clientId }, 'camera:offer', { type, sdp, ...(iceServers.length > 0 && { iceServers }) })
        },
        candidate: ({ clientId }, candidate, sdpMid) =>
          ctx.send({ client: clientId }, 'camera:ice_candidate', { candidate, sdpMid, sdpMLineIndex: 0 }),
        failed({ clientId, userId }, problem) {
          const { code, message } = said(problem)
          ctx.log.warn({ code, userId, cause: problem instanceof Error ? problem.cause : undefined }, message)
          ctx.publishError(code, message, undefined, { client: clientId })
          ctx.send({ client: clientId }, 'camera:error', { message, code })
        },
        changed: () => throttle.touch(),
      }),
    )

    let audience: Pick<typeof ctx, 'publish'> | undefined
    const throttle = ctx.own(
      new Throttle(publishMs, () => {
        const { target, reason } = viewers.quality
        audience?.publish('camera:status', statusOf(lens.status(), { ...target, reason }))
        audience?.publish('camera:viewers', { viewers: viewers.list(), snapshots: snapshots.list() })
      }),
    )
    ctx.whileSubscribed((watch) => {
      audience = watch
      const tellCameras = (cameras: readonly CameraInfo[]) => watch.publish('camera:cameras', cameras.map(cameraOf))
      watch.own(lens.onCameras(tellCameras))
      watch.own(lens.onStatus(() => throttle.touch()))
      tellCameras(lens.cameras())
      throttle.touch()
      return () => {
        audience = undefined
      }
    })

    /** The failure of a driver is the answer of the command, and its sender hears it as an event, too. */
    const coded = async <T>(clientId: string, work: () => T | Promise<T>): Promise<T> => {
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof CameraFailure || error instanceof Refusal)) throw error
        const { code, message } = said(error)
        ctx.log.info({ code, cause: error.cause }, message)
        ctx.send({ client: clientId }, 'camera:error', { message, code })
        throw ctx.error(code, message)
      }
    }
    ctx.handle('camera:start', ({ resolution }, { caller, signal }) =>
      coded(caller.clientId, async () => {
        await viewers.start(caller, resolution, signal)
        return { resolution, iceServers: clientServers(caller.userId, ice) }
      }),
    )
    ctx.handle('camera:offer', ({ sdp }, { caller, signal }) =>
      coded(caller.clientId, () => viewers.offer(caller, sdp, '720p', signal)),
    )
    ctx.handle('camera:answer', ({ sdp }, { caller }) => coded(caller.clientId, () => viewers.answer(caller, sdp)))
    ctx.handle('camera:ice_candidate', (payload, { caller }) =>
      coded(caller.clientId, () => ({ used: payload?.candidate ? viewers.candidate(caller, payload.candidate) : false })),
    )
    ctx.handle('camera:stop', (_, { caller }) => viewers.stop(caller.clientId))
    ctx.onDisconnect((clientId) => viewers.stop(clientId))
    ctx.handle('camera:ice_servers', (_, { caller }) => ({ iceServers: clientServers(caller.userId, ice) }))
    ctx.handle('camera:snapshot', (_, { caller, signal }) =>
      coded(caller.clientId, async () => {
        const { snapshotResolution, snapshotQuality: quality } = settings
        const resolution = snapshotResolution === 'auto' ? undefined : snapshotResolution
        const { jpeg, at: timestamp } = await lens.snapshot({ resolution, quality, signal })
        snapshots.note(caller.userId)
        throttle.touch()
        const base64 = Buffer.from(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength).toString('base64')
        ctx.send({ client: caller.clientId }, 'camera:snapshot_result', { base64, timestamp })
        return { timestamp }
      }),
    )
  },
})

const said = (problem: Problem | Refusal) => ({
  code: problem.code,
  message: problem instanceof Refusal ? problem.message : problem.sentence,
})

const cameraOf = ({ id, name, kind, resolutions }: CameraInfo) => ({ id, name, kind, resolutions: [...resolutions] })

function statusOf(status: LensStatus, quality: { frameRate: number; bitrateKbps: number; reason: string | null }) {
  const { camera, encoder, capturing, outputs, problem } = status
  return {
    camera: camera && cameraOf(camera),
    encoder,
    simulated: camera?.kind === 'simulated',
    capturing,
    outputs: [...outputs],
    quality,
    problem: problem && { code: problem.code, message: problem.sentence },
  }
}
