import { signal } from '@preact/signals'
import { isInTelegram } from './surroundings.ts'

/** What is shown: a module by its id, or '' for all of them. */
export const route = signal('')

const isId = (text: string) => /^[a-z0-9-]{1,32}$/.test(text)
const read = (): string => {
  const wished = isInTelegram() ? ((history.state as { route?: string } | null)?.route ?? '') : location.hash.replace(/^#\/?/, '')
  return isId(wished) ? wished : ''
}

/** Begins with what the address names, or with `wished`, from a deep link: it chooses a panel and nothing else. */
export function followAddress(wished: string | undefined): void {
  route.value = read()
  if (route.value === '' && wished !== undefined && isId(wished)) go(wished)
  for (const event of ['popstate', 'hashchange']) window.addEventListener(event, () => (route.value = read()))
}

/** In Telegram the fragment is Telegram's, and the address stays as it is. */
export function go(id: string): void {
  if (id === route.value) return
  history.pushState({ route: id }, '', isInTelegram() ? location.href : id === '' ? '#/' : `#/${id}`)
  route.value = id
}
