import type { Call } from './bluez.ts'
import type { Objects } from './objects.ts'

/** As much of the system bus as the driver needs: BlueZ. */
export interface Service {
  readonly call: Call
  /** Offers an object to BlueZ. */
  serve(
    path: string,
    interfaceName: string,
    methods: Readonly<
      Record<
        string,
        { readonly in: string; readonly out: string; readonly handle: (args: readonly unknown[], service: string) => unknown }
      >
    >,
  ): () => void
  watchName(listener: (isRunning: boolean) => void): () => void
  watchObjects(interfaces: readonly string[], onChange: (objects: Objects) => void): () => void
}
