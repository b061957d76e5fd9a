import type { HostControl } from '../plugin/host-control.ts'

type Answer = Parameters<HostControl['serveApp']>[0]

/** What the app that comes with Patchbay answers where no route of a plugin does. */
export class AppFiles {
  answer: Answer = () => undefined

  serve(answer: Answer = () => undefined): () => void {
    this.answer = answer
    return () => void this.serve()
  }
}
