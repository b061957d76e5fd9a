import type { Installation } from './main.ts'

export async function restore(_args: string[], _installation: Installation): Promise<void> {
  throw new Error('restore is not built yet')
}
