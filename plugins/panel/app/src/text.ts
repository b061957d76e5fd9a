import { languages } from 'virtual:messages'
import { signal } from '@preact/signals'

type Texts = Readonly<Record<string, string>>

const texts = signal<Texts>({})
let spare: Texts = {}
/** BCP 47, such as `de-AT`: the person's own, of the language that is shown. */
export const language = signal('en')

/** Loads the best language of those that the person reads; English stands in for what a file lacks. */
export async function chooseLanguage(wished: readonly string[]): Promise<void> {
  const base = (tag: string) => tag.toLowerCase().split('-')[0] ?? ''
  const locale = wished.find((one) => base(one) in languages) ?? 'en'
  const known = base(locale)
  spare = (await languages['en']?.())?.default ?? {}
  texts.value = (await languages[known]?.())?.default ?? spare
  language.value = locale
  document.documentElement.lang = known
}

/** The text of a key, with `{name}` filled in; the key itself where no language has it. */
export function t(key: string, values: Readonly<Record<string, string | number>> = {}): string {
  const text = texts.value[key] ?? spare[key] ?? key
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}

/** Whether a key has a text. */
export const hasText = (key: string): boolean => key in texts.value || key in spare

/** The sentence for a code, where the app has one in the person's language; else the one the machine sent. */
export function sentence(code: string, sent: string): string {
  return hasText(`code.${code}`) ? t(`code.${code}`) : sent
}

const units = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const

/** How long ago that was, such as `12 seconds ago`. */
export function ago(at: number, now: number): string {
  const past = Math.max(0, now - at)
  const [unit, ms] = units.find(([, ms]) => past >= ms) ?? ['second', 1000]
  return new Intl.RelativeTimeFormat(language.value, { numeric: 'always' }).format(-Math.floor(past / ms), unit)
}

export function formatNumber(value: number, digits = 1): string {
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: digits }).format(value)
}

/** Bytes as a person reads them, in powers of 1000 as drives are sold. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let [value, step] = [bytes, 0]
  while (Math.abs(value) >= 1000 && step < names.length - 1) [value, step] = [value / 1000, step + 1]
  return `${formatNumber(value, value < 10 && step > 0 ? 1 : 0)} ${names[step]}`
}

/** Seconds as `2 d 4 h`, the two largest units that count. */
export function formatDuration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [Math.floor(seconds) % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  return parts
    .slice(first === -1 ? 3 : first, first === -1 ? 4 : first + 2)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

export function formatTime(at: number): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: 'medium', timeStyle: 'short' }).format(at)
}
