import type { Installation } from './main.ts'

export async function doctor(_args: string[], _installation: Installation): Promise<void> {
  throw new Error('doctor is not built yet')
}
