import { createContext } from 'preact'
import type { Link } from './link.ts'
import type { Modules } from './module.ts'

/** The one connection, and what is behind it. */
export const AppContext = createContext<{ readonly link: Link; readonly modules: Modules }>(undefined as never)
