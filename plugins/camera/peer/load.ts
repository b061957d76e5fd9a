import { createRequire } from 'node:module'
import type { Library } from './connection.ts'
import { Refusal } from './refusal.ts'

let loaded: Library | undefined

/**
 * Loads the machine code of node-datachannel, which is all of it that is used, once; `log` hears what it has to say. Throws a Refusal
 * where there is none for this machine.
 */
export function loadLibrary(log: (line: string) => void): Library {
  if (loaded) return loaded
  try {
    const require = createRequire(import.meta.url)
    loaded = require(`@node-datachannel/${process.platform}-${process.arch}-gnu`) as Library
  } catch (cause) {
    throw new Refusal('CAMERA_NO_WEBRTC', `There is no WebRTC for this machine (${process.platform}, ${process.arch}).`, {
      cause,
    })
  }
  // Without a callback it writes to the standard output.
  loaded.initLogger('Error', (_level, message) => log(message))
  return loaded
}
