import { useSignal } from '@preact/signals'
import type { ComponentType } from 'preact'
import { useEffect } from 'preact/hooks'
import type { ModuleContract } from './contract.ts'
import { title } from './fields.ts'
import { GeneratedPanel } from './generated.tsx'
import { explain, type PanelProps } from './kit.tsx'
import type { Module } from './module.ts'
import { SimulatedTag, StandingLine, Switches, useStanding } from './standing.tsx'
import { StrangersPanel } from './stranger.tsx'
import { hasText, sentence, t } from './text.ts'

type PanelFile = { readonly default: ComponentType<PanelProps> }

/** The panels of the plugins that come with Patchbay, by module id: found by their place when the app is built. */
const panels = new Map(
  Object.entries(import.meta.glob<PanelFile>('../../../*/panel/index.tsx')).map(([path, load]) => [
    path.split('/').at(-3) ?? '',
    load,
  ]),
)

export const nameOf = (id: string): string => (hasText(`${id}.title`) ? t(`${id}.title`) : title(id))

/** What a module is, in the person's language where its message files say it; else as its contract does. */
export const descriptionOf = ({ id, description }: { readonly id: string; readonly description?: string }): string | undefined =>
  hasText(`${id}.description`) ? t(`${id}.description`) : description

export const hasPanel = ({ id, builtin, panel }: ModuleContract): boolean => (builtin ? panels.has(id) : panel !== undefined)

export function ModulePage({ module }: { module: Module }) {
  useEffect(() => module.watch(), [module])
  const { builtin, isReachable, panel, version } = module.contract.value
  const description = descriptionOf(module.contract.value)
  const load = builtin ? panels.get(module.id) : undefined
  const isRunning = useStanding(module).state === 'running'
  const hasValues = module.contract.value.events.some(({ name }) => module.heard(name).value !== undefined)
  return (
    <>
      <header class="page-head">
        <h1 tabIndex={-1}>
          {nameOf(module.id)}
          <SimulatedTag module={module} />
        </h1>
        {description && <p class="soft">{description}</p>}
        <StandingLine module={module} />
        {!builtin && <p class="soft">{t('module.foreign', { version })}</p>}
      </header>
      {module.refusal.value && <p class="card bad">{explain(module.refusal.value)}</p>}
      {module.problem.value && (
        <p class="card bad" role="status">
          {sentence(module.problem.value.code, module.problem.value.message)}
        </p>
      )}
      {!isReachable && <p class="card">{t('module.elsewhere', { namespace: module.contract.value.namespace })}</p>}
      {isReachable && (isRunning || hasValues) && (
        <>
          {panel && <StrangersPanel key={panel} module={module} path={panel} />}
          {load ? (
            <OwnPanel key={module.id} module={module} load={load} />
          ) : (
            <Generated module={module} isFolded={panel !== undefined} />
          )}
        </>
      )}
      {isRunning && <Switches module={module} />}
    </>
  )
}

/** Beside a panel of its author's own, what the contract says stays at hand: nothing can be hidden behind a panel. */
function Generated({ module, isFolded }: { module: Module; isFolded: boolean }) {
  if (!isFolded) return <GeneratedPanel module={module} />
  return (
    <details>
      <summary>{t('module.contract')}</summary>
      <div class="stack">
        <GeneratedPanel module={module} />
      </div>
    </details>
  )
}

function OwnPanel({ module, load }: { module: Module; load: () => Promise<PanelFile> }) {
  const panel = useSignal<PanelFile | 'failed' | undefined>(undefined)
  useEffect(() => {
    load().then(
      (file) => (panel.value = file),
      () => (panel.value = 'failed'),
    )
  }, [load])
  if (panel.value === 'failed')
    return (
      <>
        <p class="card bad">{t('module.panelMissing')}</p>
        <GeneratedPanel module={module} />
      </>
    )
  if (!panel.value) return <p class="soft">{t('value.waiting')}</p>
  const Panel = panel.value.default
  return <Panel module={module} />
}
