import type { Installation } from './main.ts'

export async function sessions(_args: string[], _installation: Installation): Promise<void> {
  throw new Error('sessions is not built yet')
}
