import { useContext } from 'preact/hooks'
import { AppContext } from './context.ts'
import { ask, give } from './kit.tsx'
import type { Module, Standing } from './module.ts'
import { mayGive } from './rights.ts'
import { t } from './text.ts'

/** A state in a word, with a dot whose colour says the same. */
export function StateBadge({ standing: { state } }: { standing: Standing }) {
  return <span class={`state ${state}`}>{t(`state.${state}`)}</span>
}

/** The state of a module as it is known now. */
export const useStanding = (module: Module): Standing => module.standing.value

/** Says of what is not real that it is not. */
export function SimulatedTag({ module }: { module: Module }) {
  const { modules } = useContext(AppContext)
  if (!modules.isSimulated(module.id)) return null
  return (
    <>
      {' '}
      <strong class="tag warn">{t('module.simulated')}</strong>
    </>
  )
}

/** Why it is so. What the app knows itself it says in the person's language. */
function Reason({ module, standing: { state, reason } }: { module: Module; standing: Standing }) {
  const { modules } = useContext(AppContext)
  if (state === 'running' && modules.isSimulated(module.id)) return <span>{t('module.simulatedText')}</span>
  return reason && !isPlainlyOff(module) ? <span>{reason}</span> : null
}

/** Off because nobody has switched it on; a third party's may be off for other reasons. */
export const isPlainlyOff = (module: Module): boolean =>
  module.standing.value.state === 'disabled' && module.contract.value.builtin

/** The state, why it is so, and what an owner can do about it while it does not run. */
export function StandingLine({ module }: { module: Module }) {
  const standing = useStanding(module)
  return (
    <div class="standing">
      <StateBadge standing={standing} />
      <Reason module={module} standing={standing} />
      {standing.state !== 'running' && <Switches module={module} />}
    </div>
  )
}

/** What an owner can do with a module itself; the app and the host cannot be switched off. */
export function Switches({ module }: { module: Module }) {
  const { modules } = useContext(AppContext)
  const host = modules.all.value.get('host')
  if (!host || !mayGive('owner') || ['host', 'panel'].includes(module.id)) return null
  const { id } = module
  const { state } = module.standing.value
  const isBusy = ['host:enable', 'host:disable', 'host:restart', 'host:release'].some((name) => host.isPending(name))
  const button = (label: string, press: () => Promise<unknown>) => (
    <button type="button" class="quiet" disabled={isBusy} aria-busy={isBusy} onClick={() => void press()}>
      {label}
    </button>
  )
  const enable = async () => {
    const asks = modules.plugins.value.get(id)?.asks ?? []
    const grants = asks.map(({ grant }) => grant)
    const consent = { title: t('module.consent', { id }), text: asks.map(({ sentence }) => sentence), yes: t('module.grant') }
    if (asks.length > 0 && !(await ask(consent))) return
    await give(host, 'host:enable', { id, ...(grants.length > 0 && { grants }) })
  }
  const disable = async () => {
    if (await ask({ title: t('module.disable'), text: t('module.disableText', { id }), yes: t('module.disable') }))
      await give(host, 'host:disable', { id })
  }
  return (
    <span class="row">
      {state === 'disabled' && button(t('module.enable'), enable)}
      {state === 'quarantined' && button(t('module.release'), () => give(host, 'host:release', { id }))}
      {['failed', 'running', 'unavailable'].includes(state) &&
        button(t('module.restart'), () => give(host, 'host:restart', { id }))}
      {!['disabled', 'unknown'].includes(state) && button(t('module.disable'), disable)}
    </span>
  )
}
