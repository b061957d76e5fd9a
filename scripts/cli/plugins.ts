import type { Installation } from './main.ts'

export async function plugins(_args: string[], _installation: Installation): Promise<void> {
  throw new Error('plugins is not built yet')
}
