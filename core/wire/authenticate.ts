import type { Client } from './client.ts'
import { refuse } from './errors.ts'

/** Step 2: who is connected was found out at the door (door.ts); here the login must still stand. */
export function authenticate(client: Client): void {
  const { endedAt, expiresAt = Infinity } = client.session
  if (endedAt !== undefined || expiresAt <= Date.now() || client.socket.disconnected) throw refuse('SESSION_EXPIRED')
}
