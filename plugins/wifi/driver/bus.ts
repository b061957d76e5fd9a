/** As much of the system bus as the driver needs: one service, NetworkManager. */
export interface Bus {
  /** Rejects with an Error that has a `dbusName`. */
  call(request: {
    readonly path: string
    readonly interface: string
    readonly method: string
    readonly signature?: string
    readonly args?: readonly unknown[]
    readonly timeoutMs?: number
  }): Promise<unknown[]>
  onSignal(
    filter: { readonly path?: string; readonly interface?: string; readonly member?: string },
    listener: (signal: { readonly path: string; readonly signature: string; readonly args: readonly unknown[] }) => void,
  ): () => void
  watchObjects(
    options: { readonly root: string; readonly interfaces: readonly string[] },
    onChange: (objects: Objects, changed: ReadonlySet<string>) => void,
  ): () => void
}

/** Objects by their path; of each its interfaces by name; of each its properties. */
export type Objects = ReadonlyMap<string, ReadonlyMap<string, Properties>>
export type Properties = Readonly<Record<string, unknown>>
