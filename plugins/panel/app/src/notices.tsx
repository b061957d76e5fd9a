import { signal } from '@preact/signals'
import { t } from './text.ts'

interface Notice {
  readonly id: number
  readonly kind: 'good' | 'bad'
  readonly text: string
}

const notices = signal<readonly Notice[]>([])
const most = 4
const forMs = { good: 4000, bad: 15_000 }
let next = 0

/** Says something for a while, also to who hears the screen instead of seeing it. */
export function notify(kind: Notice['kind'], text: string): void {
  const id = next++
  notices.value = [...notices.value.slice(1 - most), { id, kind, text }]
  setTimeout(() => dismiss(id), forMs[kind])
}

const dismiss = (id: number) => {
  notices.value = notices.value.filter((notice) => notice.id !== id)
}

export function Notices() {
  const of = (kind: Notice['kind']) =>
    notices.value
      .filter((notice) => notice.kind === kind)
      .map(({ id, text }) => (
        <div key={id} class={`notice ${kind}`}>
          <span>{text}</span>
          <button type="button" class="plain-button" aria-label={t('notice.dismiss')} onClick={() => dismiss(id)}>
            ✕
          </button>
        </div>
      ))
  return (
    <div class="notices">
      <div role="status">{of('good')}</div>
      <div role="alert">{of('bad')}</div>
    </div>
  )
}
