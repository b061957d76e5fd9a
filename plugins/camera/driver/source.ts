import type { CameraInfo, Resolution, Target } from './types.ts'

/** How a program of ffmpeg gets at a camera. */
export interface Input {
  /** Up to and with `-i`. Times are those of the day, where they are known. */
  readonly args: readonly string[]
  /** What it reads before it begins: what must not stand in a list of processes. */
  readonly script?: string
  /** What is done to each picture before all else. */
  readonly filter?: string
  /** The camera gives H.264 of this size by itself. */
  readonly ready?: Resolution
  /** Another program, which gives the pictures, and the pipe between the two. */
  readonly feeder?: { readonly program: string; readonly args: readonly string[]; readonly pipe: string }
}

export interface InputRequest {
  /** The largest that is wanted. */
  readonly resolution: Resolution
  readonly target: Target
  /** A directory of the driver's own. */
  readonly directory: string
}

/** A camera, and how to open it. */
export interface Camera extends CameraInfo {
  /** What Linux calls it, where it does. */
  readonly device?: string
  /** It serves several at a time, each with a stream of their own. */
  readonly isShared?: true
  input(request: InputRequest): Promise<Input>
}

export const heights: Readonly<Record<Resolution, number>> = { '480p': 480, '720p': 720, '1080p': 1080 }
export const resolutions = Object.keys(heights) as Resolution[]

/** Those that a camera of this height has without being made larger. */
export function within(height: number): Resolution[] {
  const fitting = resolutions.filter((resolution) => heights[resolution] <= height)
  return fitting.length > 0 ? fitting : ['480p']
}

/** No waiting for more than the first picture. */
export const atOnce = ['-flags', 'low_delay', '-fpsprobesize', '0', '-analyzeduration', '0']
