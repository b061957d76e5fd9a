/** Whether a name fits a pattern, in which `*` stands for any characters. No part is tried twice. */
export function fits(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  if (last === undefined) return name === first
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last)) return false
  let at = first.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= name.length - last.length
}

/** The room of a user, which nobody else joins. */
export const userRoom = (userId: string): string => `user:${userId}`

/** Whether a user may join a room: by the rooms that his token names, or because it is open. */
export function mayJoin(room: string, openRooms: readonly string[], claims: Readonly<Record<string, unknown>>): boolean {
  if (room.startsWith('user:')) return room === userRoom(String(claims.sub))
  const named = Array.isArray(claims.rooms) ? claims.rooms.filter((each): each is string => typeof each === 'string') : []
  return [...openRooms, ...named].some((pattern) => fits(pattern, room))
}
