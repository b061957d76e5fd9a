export type Resolution = '480p' | '720p' | '1080p'

export type Release = () => void

/** One picture, as an encoder gave it. */
export interface AccessUnit {
  /** H.264 in Annex B; SPS and PPS stand before every key frame. Shared by all who watch: not to be changed. */
  readonly data: Uint8Array
  readonly isKey: boolean
  /** When it was exposed, as well as that can be known; milliseconds since the epoch. */
  readonly at: number
}

/** What all who watch get together. Resolutions below 1080p get at most what makes sense for them. */
export interface Target {
  /** Pictures a second, 15-30; a camera that has fewer gives fewer. */
  readonly frameRate: number
  /** 500-3000 */
  readonly bitrateKbps: number
}

export interface CameraInfo {
  /** The same whenever it is plugged in again, where it tells who it is; otherwise that of its socket. */
  readonly id: string
  readonly name: string
  readonly kind: CameraKind
  /** What is wanted larger than the largest of these is that. Never empty. */
  readonly resolutions: readonly Resolution[]
}

/** `simulated`: a test pattern, where the settings ask for it. */
export type CameraKind = 'v4l2' | 'rpicam' | 'rtsp' | 'simulated'

export interface Watcher {
  /** Comes in order, begins with a key frame; the first ones at once and several together when there are some already. Must not throw. */
  unit(unit: AccessUnit): void
  /** There is no picture from now on, and why; it is gone on trying, until `resumed` or the feed is closed. */
  interrupted(problem: Problem): void
  /** Another picture comes: `unit` is called right after. */
  resumed(): void
}

/** A stream for one who watches. */
export interface Feed {
  close(): void
}

export type ProblemCode =
  | 'CAMERA_NOT_FOUND'
  | 'CAMERA_BUSY'
  | 'CAMERA_UNPLUGGED'
  | 'CAMERA_PERMISSION'
  | 'CAMERA_TOOL_MISSING'
  | 'CAMERA_NO_ENCODER'
  | 'CAMERA_UNREACHABLE'
  | 'CAMERA_FAILED'

export interface Problem {
  readonly code: ProblemCode
  /** For people, without addresses and passwords. */
  readonly sentence: string
  /** A command to paste. */
  readonly mend?: string | undefined
}

export interface LensStatus {
  /** The chosen one; null while there is none. */
  readonly camera: CameraInfo | null
  /** Such as `libx264`; `none` where the camera's own H.264 is passed on; null while it is not known. */
  readonly encoder: string | null
  /** A program has the camera open for those who watch. */
  readonly capturing: boolean
  /** Which are made, with what came over the last seconds. */
  readonly outputs: readonly {
    readonly resolution: Resolution
    readonly frameRate: number
    readonly bitrateKbps: number
  }[]
  /** How often the program was started since somebody began to watch. */
  readonly starts: number
  /** Why there is no picture for those who watch, or could be none. */
  readonly problem: Problem | null
}

export interface SnapshotRequest {
  /** The best that runs, else 1080p. */
  readonly resolution?: Resolution | undefined
  /** 1-100 */
  readonly quality: number
  readonly signal: AbortSignal
}

export interface Snapshot {
  readonly jpeg: Uint8Array
  /** When it was exposed; milliseconds since the epoch. */
  readonly at: number
}

/** The cameras of this machine, and one of them in use. */
export interface Lens {
  cameras(): readonly CameraInfo[]
  /** Told at every change. */
  onCameras(listener: (cameras: readonly CameraInfo[]) => void): Release
  status(): LensStatus
  /** Told at every change, and while it captures every few seconds. */
  onStatus(listener: (status: LensStatus) => void): Release
  /** Resolves with the first picture, rejects with a CameraFailure if there is none. */
  watch(resolution: Resolution, watcher: Watcher): Promise<Feed>
  /** Takes effect within ten seconds. */
  retarget(target: Target): void
  /** Rejects with a CameraFailure, or with the signal's reason. */
  snapshot(request: SnapshotRequest): Promise<Snapshot>
  /** Ends all that it started. */
  close(): Promise<void>
}

/** What an owner may set. */
export interface LensSettings {
  /** The id of a camera; empty: the first one of this machine, else of the network. */
  readonly camera: string
  /** Cameras of the network. */
  readonly network: readonly { readonly name: string; readonly url: string }[]
  /** A test pattern as a further camera, called simulated wherever it appears. */
  readonly simulated: boolean
  /** The name of an encoder of ffmpeg, or `auto`. */
  readonly encoder: string
}

/** The part of the `exec` capability that is used: argument lists, never a shell. */
export interface Exec {
  run(
    program: string,
    args: readonly string[],
    options?: { timeoutMs?: number; maxBytes?: number; signal?: AbortSignal },
  ): Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }>
  start(
    program: string,
    args: readonly string[],
    options?: { onStdout?: (piece: Uint8Array) => void; signal?: AbortSignal },
  ): Promise<{
    readonly ended: Promise<{ readonly exitCode: number; readonly stderr: string }>
    write(piece: string | Uint8Array): Promise<void>
    end(): void
    stop(): Promise<void>
  }>
}
