import { useSignal } from '@preact/signals'
import type { EventPayload } from 'patchbay/plugin'
import { useId, useRef } from 'preact/hooks'
import { CommandButton, give, Latest, type Module, type PanelProps } from '../../panel/app/src/kit.tsx'
import { mayGive } from '../../panel/app/src/rights.ts'
import { t } from '../../panel/app/src/text.ts'
import type { audio } from '../contract.ts'

type State = EventPayload<typeof audio, 'audio:state'>

/** Twenty changes in five seconds are allowed; the last one always goes. */
const everyMs = 300

export default function AudioPanel({ module }: PanelProps) {
  return (
    <Latest<State> module={module} event="audio:state">
      {(state) => <Sound module={module} state={state} mayChange={mayGive('operator')} />}
    </Latest>
  )
}

function Sound({ module, state, mayChange }: { module: Module; state: State; mayChange: boolean }) {
  const { volume, muted, output, availableOutputs, microphone, missing, problem } = state
  return (
    <div class="stack">
      {problem && <p class="card bad">{problem.message}</p>}
      {missing && <p class="card bad">{t('audio.missing', { name: missing.name })}</p>}
      {output !== '' && (
        <section class="card">
          <h2>{t('audio.volume')}</h2>
          <Volume module={module} command="audio:set_volume" label={t('audio.volume')} level={volume} disabled={!mayChange} />
          <p class="row">
            {muted && <strong class="bad">{t('audio.isMuted')}</strong>}
            <CommandButton
              module={module}
              command="audio:toggle_mute"
              label={t(muted ? 'audio.unmute' : 'audio.mute')}
              quiet
              disabled={!mayChange}
            />
            <CommandButton
              module={module}
              command="audio:test_sound"
              label={t('audio.test')}
              said={t('audio.tested')}
              quiet
              disabled={!mayChange}
            />
          </p>
        </section>
      )}
      <fieldset class="card" disabled={!mayChange || module.isPending('audio:set_output')}>
        <legend class="inside">{t('audio.outputs')}</legend>
        {availableOutputs.length === 0 && <p class="soft">{t('audio.noOutput')}</p>}
        {availableOutputs.map(({ id, name, type, port }) => (
          <label key={id} class="row choice">
            <input
              type="radio"
              name="output"
              checked={id === output}
              onChange={() => void give(module, 'audio:set_output', { device: id })}
            />
            <span>
              {name}{' '}
              <span class="soft">
                {t(`audio.type.${type}`)}
                {port && `, ${port}`}
              </span>
            </span>
          </label>
        ))}
      </fieldset>
      {microphone && (
        <section class="card">
          <h2>{t('audio.microphone')}</h2>
          <p class="soft">{microphone.name}</p>
          <Volume
            module={module}
            command="audio:set_microphone_volume"
            label={t('audio.microphone')}
            level={microphone.volume}
            disabled={!mayChange}
          />
          <CommandButton
            module={module}
            command="audio:toggle_microphone_mute"
            label={t(microphone.muted ? 'audio.unmute' : 'audio.mute')}
            quiet
            disabled={!mayChange}
          />
        </section>
      )}
    </div>
  )
}

/** A slider that follows the finger, and the machine as soon as the finger is gone. */
function Volume({
  module,
  command,
  label,
  level,
  disabled,
}: {
  module: Module
  command: string
  label: string
  level: number
  disabled: boolean
}) {
  const held = useSignal<number | undefined>(undefined)
  const waiting = useRef<number | undefined>(undefined)
  const timer = useRef<number | undefined>(undefined)
  const id = useId()
  const send = async () => {
    timer.current = undefined
    if (waiting.current === undefined) return
    const next = waiting.current
    waiting.current = undefined
    timer.current = window.setTimeout(() => void send(), everyMs)
    await give(module, command, { level: next })
    if (waiting.current === undefined) held.value = undefined
  }
  const move = (next: number) => {
    held.value = next
    waiting.current = next
    if (timer.current === undefined) void send()
  }
  const shown = held.value ?? level
  return (
    <div class="slider">
      <label for={id} class="hidden">
        {label}
      </label>
      <input
        id={id}
        type="range"
        min={0}
        max={100}
        step={1}
        value={shown}
        disabled={disabled}
        aria-valuetext={`${shown} %`}
        onInput={({ currentTarget }) => move(currentTarget.valueAsNumber)}
      />
      <span class="big" data-figure={command}>
        {shown} %
      </span>
    </div>
  )
}
