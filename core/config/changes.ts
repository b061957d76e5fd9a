const maxChanges = 50

/**
 * What is another in a file's content now, as sentences such as `users/279058397: owner`. Values are told where they are
 * roles or switches; settings may hold secrets, so that of others only the place is told.
 */
export function changesOf(before: object, after: object): string[] {
  const [old, now] = [flat(before), flat(after)]
  const changed = [...new Set([...old.keys(), ...now.keys()])].filter((place) => old.get(place) !== now.get(place))
  return changed.slice(0, maxChanges).map((place) => {
    const value = now.get(place)
    if (value === undefined) return `${place}: removed`
    return /^(users|roles)\/|\/enabled$/.test(place) ? `${place}: ${value}` : `${place}: changed`
  })
}

/** Leaves by their path; a list is one. */
function flat(value: unknown, place = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return new Map([[place, [value].flat().join(', ')]])
  return new Map(Object.entries(value).flatMap(([key, inner]) => [...flat(inner, place ? `${place}/${key}` : key)]))
}
