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

/** The state, why it is so, and what an owner can do about it. */
export function StandingLine({ module }: { module: Module }) {
  const standing = useStanding(module)
  return (
    <div class="standing">
      <StateBadge standing={standing} />
      {standing.reason && <span> {standing.reason}</span>}
      {mayGive('owner') && !['host', 'panel'].includes(module.id) && <Switches module={module} />}
    </div>
  )
}

function Switches({ module }: { module: Module }) {
  const { modules } = useContext(AppContext)
  const host = modules.all.value.get('host')
  if (!host) return null
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
