export type FailureCode =
  | 'AUDIO_NO_SERVER'
  | 'AUDIO_PERMISSION'
  | 'AUDIO_NO_OUTPUT'
  | 'AUDIO_OUTPUT_NOT_FOUND'
  | 'AUDIO_NO_MICROPHONE'
  | 'AUDIO_MUTED'
  | 'AUDIO_FAILED'

/** Why something could not be done, with a sentence for people. */
export class AudioFailure extends Error {
  readonly code: FailureCode
  /** A command to paste. */
  readonly mend: string | undefined
  constructor(code: FailureCode, message: string, { cause, mend }: { cause?: unknown; mend?: string | undefined } = {}) {
    super(message, { cause })
    this.code = code
    this.mend = mend
  }
}
