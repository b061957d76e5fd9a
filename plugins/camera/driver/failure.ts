import type { Problem, ProblemCode } from './types.ts'

/** Why there is no picture, with a sentence for people. */
export class CameraFailure extends Error implements Problem {
  readonly code: ProblemCode
  /** A command to paste. */
  readonly mend: string | undefined
  /** `cause`: what a program said, for the log; without addresses and passwords. */
  constructor(code: ProblemCode, message: string, { cause, mend }: { cause?: unknown; mend?: string | undefined } = {}) {
    super(message, { cause })
    this.code = code
    this.mend = mend
  }

  get sentence(): string {
    return this.message
  }
}
