import { useSignal } from '@preact/signals'
import type { CommandContract, EventContract, Failure } from './contract.ts'
import { asSchema, title } from './fields.ts'
import { SchemaForm } from './form.tsx'
import { ask, explain, Latest } from './kit.tsx'
import type { Module } from './module.ts'
import { mayGive } from './rights.ts'
import { telegram } from './surroundings.ts'
import { formatTime, t } from './text.ts'
import { Value } from './value.tsx'

/** The panel of a module that brings none: what its contract says, and nothing else. */
export function GeneratedPanel({ module }: { module: Module }) {
  const { events, commands } = module.contract.value
  const retained = events.filter((event) => event.retained)
  const others = events.filter((event) => !event.retained)
  const allowed = commands.filter(({ role }) => mayGive(role))
  return (
    <>
      {retained.map((event) => (
        <Event key={event.name} module={module} event={event} />
      ))}
      {allowed.map((command) => (
        <Command key={command.name} module={module} command={command} />
      ))}
      {others.map((event) => (
        <Event key={event.name} module={module} event={event} />
      ))}
      {allowed.length < commands.length && (
        <p class="soft">{t('module.notYours', { count: commands.length - allowed.length })}</p>
      )}
      {events.length + commands.length === 0 && <p class="soft">{t('module.silent')}</p>}
    </>
  )
}

function Event({ module, event: { name, description, payload, retained } }: { module: Module; event: EventContract }) {
  const wait = <p class="soft">{t(retained ? 'value.waiting' : 'value.never')}</p>
  return (
    <section class="card" data-event={name}>
      <h2>{title(name)}</h2>
      {description && <p class="soft">{description}</p>}
      <Latest module={module} event={name} wait={wait}>
        {(value) => (
          <>
            {!retained && <p class="age">{formatTime(module.heard(name).value?.at ?? 0)}</p>}
            <Value name={name} value={value} schema={asSchema(payload)} />
          </>
        )}
      </Latest>
    </section>
  )
}

/** What came of a command the last time that it was given. */
type Outcome = { readonly is: 'done'; readonly result: object } | { readonly is: 'failed'; readonly failure: Failure }

function Command({ module, command: { name, description, payload, role } }: { module: Module; command: CommandContract }) {
  const outcome = useSignal<Outcome | undefined>(undefined)
  const give = async (value: unknown) => {
    // Of a module that the app does not know nothing tells what can be regretted, but that it is kept for owners.
    if (role === 'owner' && !(await ask({ title: title(name), text: description ?? t('confirm.owner'), yes: title(name) })))
      return
    outcome.value = undefined
    const answer = await module.send(name, value)
    telegram.value?.haptic(answer.success ? 'success' : 'error')
    if (!answer.success) outcome.value = { is: 'failed', failure: answer }
    else {
      const { success, ...result } = answer
      outcome.value = { is: 'done', result }
    }
  }
  const schema = payload === undefined ? undefined : asSchema(payload)
  return (
    <section class="card" data-command={name}>
      <h2>{title(name)}</h2>
      {description && <p class="soft">{description}</p>}
      <SchemaForm name={name} schema={schema} isBusy={module.isPending(name)} submit={(value) => void give(value)} />
      <div role="status">{outcome.value && <Result outcome={outcome.value} />}</div>
    </section>
  )
}

function Result({ outcome }: { outcome: Outcome }) {
  if (outcome.is === 'failed')
    return (
      <p class="bad">
        {explain(outcome.failure)} <code>{outcome.failure.code}</code>
      </p>
    )
  return (
    <>
      <p class="good">{t('command.done')}</p>
      {Object.keys(outcome.result).length > 0 && <Value name="" value={outcome.result} schema={{}} />}
    </>
  )
}
