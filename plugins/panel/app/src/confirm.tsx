import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { t } from './text.ts'

interface Question {
  readonly title: string
  readonly text: string | readonly string[]
  /** What the button says that does it. */
  readonly yes: string
  answer(isYes: boolean): void
}

const question = signal<Question | undefined>(undefined)

/** Asks before something is done that a person may regret. */
export function ask(asked: Omit<Question, 'answer'>): Promise<boolean> {
  question.value?.answer(false)
  return new Promise((resolve) => {
    question.value = {
      ...asked,
      answer(isYes) {
        question.value = undefined
        resolve(isYes)
      },
    }
  })
}

/** The one dialog of the app. The button that does nothing has the focus. */
export function ConfirmDialog() {
  const dialog = useRef<HTMLDialogElement>(null)
  const asked = question.value
  useEffect(() => {
    if (asked && !dialog.current?.open) dialog.current?.showModal()
  }, [asked])
  if (!asked) return null
  const sentences = typeof asked.text === 'string' ? [asked.text] : asked.text
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onClose={() => asked.answer(false)}>
      <h2 id="confirm-title">{asked.title}</h2>
      {sentences.map((text) => (
        <p key={text}>{text}</p>
      ))}
      <div class="row end">
        <button type="button" class="quiet" autofocus onClick={() => asked.answer(false)}>
          {t('confirm.cancel')}
        </button>
        <button type="button" class="danger" onClick={() => asked.answer(true)}>
          {asked.yes}
        </button>
      </div>
    </dialog>
  )
}
