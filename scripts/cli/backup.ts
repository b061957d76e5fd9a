import type { Installation } from './main.ts'

export async function backup(_args: string[], _installation: Installation): Promise<void> {
  throw new Error('backup is not built yet')
}
