import { signal } from '@preact/signals'

/** What Telegram gives to an app that it shows; a plain browser gives nothing. */
export interface Telegram {
  readonly initData: string
  readonly startParam: string | undefined
  /** A touch that a person feels. */
  haptic(kind: 'success' | 'error' | 'tap'): void
  /** Shows or hides Telegram's own back button. */
  setBack(back: (() => void) | undefined): void
  /** Telegram asks before it closes the app. */
  confirmClosing(wanted: boolean): void
  /** Telegram's own large button below the app; undefined hides it. */
  setMain(button: MainButton | undefined): void
}
export interface MainButton {
  readonly text: string
  readonly isBusy: boolean
  press(): void
}

export const telegram = signal<Telegram | undefined>(undefined)

/** Whether Telegram opened this page: it then says so in the fragment. */
export const isInTelegram = (): boolean => /[#&]tgWebApp\w+=/.test(location.hash)
