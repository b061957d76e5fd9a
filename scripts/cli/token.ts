import type { Installation } from './main.ts'

export async function token(_args: string[], _installation: Installation): Promise<void> {
  throw new Error('token is not built yet')
}
