// What panels are made of, beside Preact and signals.
import { signal, useSignalEffect } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { ask } from './confirm.tsx'
import type { Answer, Failure } from './contract.ts'
import type { Heard, Module } from './module.ts'
import { notify } from './notices.tsx'
import { telegram } from './surroundings.ts'
import { ago, sentence, t } from './text.ts'

export type { Module }
export { ask, notify }

/** What a panel's file exports by default. */
export interface PanelProps {
  readonly module: Module
}

/** Milliseconds since the epoch, renewed every second while something old is shown. */
const now = signal(Date.now())
let agers = 0
let ticking: number | undefined

function useTicking(isWanted: boolean): void {
  useEffect(() => {
    if (!isWanted) return undefined
    now.value = Date.now()
    if (agers++ === 0) ticking = window.setInterval(() => (now.value = Date.now()), 1000)
    return () => {
      if (--agers === 0) window.clearInterval(ticking)
    }
  }, [isWanted])
}

/** Shows what was last heard of an event; greyed and with its age once it may no longer hold. `wait` stands there before the first value. */
export function Latest<T>({
  module,
  event,
  children,
  wait,
}: {
  module: Module
  event: string
  children: (value: T) => ComponentChildren
  wait?: ComponentChildren
}) {
  const heard = module.heard(event).value
  const isStale = heard !== undefined && !module.isFresh(heard)
  useTicking(isStale)
  if (!heard) return <>{wait === undefined ? <p class="soft">{t('value.waiting')}</p> : wait}</>
  return (
    <div class={isStale ? 'stale' : undefined}>
      {isStale && <p class="age">{t('value.asOf', { ago: ago(heard.at, now.value) })}</p>}
      {children(heard.value as T)}
    </div>
  )
}

/** The last value of an event, or undefined. */
export function useHeard<T>(module: Module, event: string): (Heard & { readonly value: T }) | undefined {
  return module.heard(event).value as (Heard & { readonly value: T }) | undefined
}

/** Calls back with every value of an event that comes from now on. */
export function useEvent<T>(module: Module, event: string, callback: (value: T) => void): void {
  useEffect(() => {
    let isFirst = module.heard(event).peek() !== undefined
    return module.on(event, (value) => {
      if (isFirst) isFirst = false
      else callback(value as T)
    })
  }, [module, event])
}

/** Gives a command and tells the person if it failed. `said` is what to say when it is done. */
export async function give(module: Module, name: string, payload?: unknown, said?: string): Promise<Answer> {
  const answer = await module.send(name, payload)
  telegram.value?.haptic(answer.success ? 'success' : 'error')
  if (!answer.success) notify('bad', explain(answer))
  else if (said !== undefined) notify('good', said)
  return answer
}

/** A failure as a sentence. */
export function explain({ code, error, retryAfter }: Failure): string {
  const again = retryAfter === undefined ? '' : ` ${t('command.retryAfter', { seconds: Math.ceil(retryAfter) })}`
  return `${sentence(code, error)}${again}`
}

/** A button that gives a command. It tells while that is under way and keeps nothing else from being pressed; `danger` asks first. */
export function CommandButton(props: {
  readonly module: Module
  readonly command: string
  readonly payload?: unknown
  readonly label: string
  readonly said?: string
  /** The question to ask before it is given. */
  readonly danger?: string | readonly string[]
  readonly quiet?: boolean
  readonly disabled?: boolean
  done?(answer: Answer): void
}) {
  const { module, command, payload, label, said, danger, quiet, disabled, done } = props
  const isBusy = module.isPending(command)
  const press = async () => {
    if (danger !== undefined && !(await ask({ title: label, text: danger, yes: label }))) return
    const answer = await give(module, command, payload, said)
    done?.(answer)
  }
  return (
    <button
      type="button"
      class={danger === undefined ? (quiet ? 'quiet' : undefined) : 'danger'}
      disabled={disabled || isBusy}
      aria-busy={isBusy}
      onClick={() => void press()}
    >
      {label}
    </button>
  )
}

/** Telegram asks before it closes the app while something would be lost. */
export function useUnsaved(isUnsaved: () => boolean): void {
  useSignalEffect(() => telegram.value?.confirmClosing(isUnsaved()))
  useEffect(() => () => telegram.value?.confirmClosing(false), [])
}

/** In Telegram its own large button does the one thing that this form is for, as long as it is shown; without a text it is not. */
export function useMainButton(text: string | undefined, isBusy: boolean, press: () => void): void {
  const latest = useRef(press)
  latest.current = press
  useEffect(() => {
    if (text === undefined) return undefined
    telegram.value?.setMain({ text, isBusy, press: () => latest.current() })
    return () => telegram.value?.setMain(undefined)
  }, [text, isBusy])
}
