import { access, constants, mkdir } from 'node:fs/promises'

/** A start-up failure that a sentence explains, and the exit code that tells systemd what it was (sysexits.h). */
export class StartError extends Error {
  readonly exitCode: number
  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Makes the data directory. Rejects with a StartError if it cannot be written. */
export async function makeDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    await access(dataDir, constants.W_OK)
  } catch (error) {
    const why = (error as Error).message
    throw new StartError(`The data directory ${dataDir} cannot be written (${why}). Set PATCHBAY_DATA_DIR.`, 73)
  }
}

/** Why nobody can listen there, from Node's error. */
export function listenError({ address, port }: { address: string; port: number }, error: unknown): StartError {
  const { code, message } = error as NodeJS.ErrnoException
  const why = code === 'EADDRINUSE' ? 'another program listens there' : code === 'EACCES' ? 'this user may not' : message
  const mend = 'Choose another port in host.json or with PATCHBAY_PORT.'
  return new StartError(`Cannot listen on ${address}:${port}: ${why}. ${mend}`, 69)
}
