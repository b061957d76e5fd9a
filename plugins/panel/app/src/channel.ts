import type { Answer } from './contract.ts'

/** What a third party's panel may say to the app. All of it is judged: it may say anything. */
export type FromFrame =
  | { readonly is: 'command'; readonly number: number; readonly command: string; readonly payload: unknown }
  | { readonly is: 'listen'; readonly event: string }
  | { readonly is: 'height'; readonly px: number }

/** What the app says to it: of its own module and of nothing else. */
export type ToFrame =
  | { readonly is: 'event'; readonly event: string; readonly value: unknown; readonly at: number }
  | { readonly is: 'answer'; readonly number: number; readonly answer: Answer }
