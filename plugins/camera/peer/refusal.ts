export type RefusalCode =
  | 'CAMERA_BAD_SIGNAL'
  | 'CAMERA_NO_H264'
  | 'CAMERA_NO_PATH'
  | 'CAMERA_CONNECTION_LOST'
  | 'CAMERA_NOT_WATCHING'
  | 'CAMERA_TOO_MANY_VIEWERS'
  | 'CAMERA_NO_WEBRTC'

/** Why somebody does not see, with a sentence for people. */
export class Refusal extends Error {
  readonly code: RefusalCode
  constructor(code: RefusalCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
