import type { Installation } from './main.ts'

export async function https(_args: string[], _installation: Installation): Promise<void> {
  throw new Error('https is not built yet')
}
