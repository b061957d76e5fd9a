import type { Installation } from './main.ts'

export async function types(_args: string[], _installation: Installation): Promise<void> {
  throw new Error('types is not built yet')
}
