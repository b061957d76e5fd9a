import { useSignal } from '@preact/signals'
import type { EventPayload } from 'patchbay/plugin'
import type { TargetedSubmitEvent } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { give, type Module, useEvent, useMainButton } from '../../panel/app/src/kit.tsx'
import { t } from '../../panel/app/src/text.ts'
import type { bluetooth } from '../contract.ts'

type Question = EventPayload<typeof bluetooth, 'bluetooth:pairing'>

/** The machine's question about the device that is being paired: it comes, changes, and goes with the answer to `bluetooth:pair`. */
export function PairingQuestion({ module }: { module: Module }) {
  const question = useSignal<Question | undefined>(undefined)
  const pin = useSignal('')
  const dialog = useRef<HTMLDialogElement>(null)
  const form = useRef<HTMLFormElement>(null)
  const id = useId()
  useEvent<Question>(module, 'bluetooth:pairing', (asked) => {
    if (asked.id !== question.value?.id) pin.value = ''
    question.value = asked
  })
  const asked = question.value
  const isPairing = module.isPending('bluetooth:pair')
  useEffect(() => {
    if (!isPairing) question.value = undefined
  }, [isPairing])
  useEffect(() => {
    if (asked === undefined) return undefined
    if (!dialog.current?.open) dialog.current?.showModal()
    const timer = setTimeout(() => (question.value = undefined), asked.expiresInMs)
    return () => clearTimeout(timer)
  }, [asked])
  const yes = asked && asked.kind !== 'show' ? t(asked.kind === 'compare' ? 'bluetooth.same' : 'bluetooth.pair') : undefined
  useMainButton(yes, false, () => form.current?.requestSubmit())
  if (!asked) return null
  const answer = async (accept: boolean) => {
    question.value = undefined
    await give(module, 'bluetooth:pairing_answer', {
      id: asked.id,
      accept,
      ...(accept && asked.kind === 'enter' && { pin: pin.value }),
    })
  }
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    void answer(true)
  }
  return (
    <dialog ref={dialog} aria-labelledby={`${id}-title`} onCancel={() => void answer(false)}>
      <form ref={form} onSubmit={submit}>
        <h2 id={`${id}-title`}>{t('bluetooth.pairing', { name: asked.name ?? asked.mac })}</h2>
        <p>{t(`bluetooth.ask.${asked.kind}`)}</p>
        {asked.number && <p class="big number">{asked.number}</p>}
        {asked.entered !== undefined && <p class="soft">{t('bluetooth.entered', { count: asked.entered })}</p>}
        {asked.kind === 'enter' && (
          <div class="input">
            <label for={id}>{t('bluetooth.code')}</label>
            <input
              id={id}
              required
              autocomplete="off"
              inputMode={asked.digits ? 'numeric' : 'text'}
              maxLength={asked.digits ? 6 : 16}
              value={pin.value}
              onInput={({ currentTarget }) => (pin.value = currentTarget.value)}
            />
          </div>
        )}
        <span class="row end">
          <button type="button" class="quiet" onClick={() => void answer(false)}>
            {t('bluetooth.refuse')}
          </button>
          {yes && (
            <button type="submit" class={asked.kind === 'risk' ? 'danger' : undefined}>
              {yes}
            </button>
          )}
        </span>
      </form>
    </dialog>
  )
}
