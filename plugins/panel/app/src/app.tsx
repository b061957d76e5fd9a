import { useContext, useEffect, useRef } from 'preact/hooks'
import { ConfirmDialog } from './confirm.tsx'
import { AppContext } from './context.ts'
import type { Link } from './link.ts'
import type { Module, Modules } from './module.ts'
import { descriptionOf, hasPanel, ModulePage, nameOf } from './module-page.tsx'
import { Notices } from './notices.tsx'
import { go, route } from './route.ts'
import { isPlainlyOff, SimulatedTag, StateBadge } from './standing.tsx'
import { telegram } from './surroundings.ts'
import { t } from './text.ts'
import { Threshold } from './threshold.tsx'

export function App({ link, modules }: { link: Link; modules: Modules }) {
  const { is } = link.state.value
  const wasIn = link.epoch.value > 0
  return (
    <AppContext.Provider value={{ link, modules }}>
      {is === 'needs login' || is === 'refused' || !wasIn ? <Threshold state={link.state.value} /> : <Inside />}
      <ConfirmDialog />
      <Notices />
    </AppContext.Provider>
  )
}

function Inside() {
  const { modules } = useContext(AppContext)
  const module = modules.all.value.get(route.value)
  const main = useRef<HTMLElement>(null)
  const isFirst = useRef(true)
  useEffect(() => {
    telegram.value?.setBack(route.value === '' ? undefined : () => go(''))
    document.title = route.value === '' ? 'Patchbay' : `${nameOf(route.value)} – Patchbay`
    // Who hears the page is told where he is now.
    if (!isFirst.current) main.current?.querySelector('h1')?.focus()
    isFirst.current = false
  }, [route.value])
  return (
    <div class={route.value === '' ? 'frame at-home' : 'frame'}>
      <button type="button" class="skip" onClick={() => main.current?.querySelector('h1')?.focus()}>
        {t('app.skip')}
      </button>
      <Banner />
      <Navigation />
      <main ref={main} id="main">
        {module ? <ModulePage key={module.id} module={module} /> : <Home />}
      </main>
    </div>
  )
}

/** What somebody has made a panel for comes first: it is what people look for. */
function inOrder(modules: Modules): Module[] {
  const rank = (module: Module) => (hasPanel(module.contract.value) ? 0 : 1)
  return [...modules.all.value.values()].sort((a, b) => rank(a) - rank(b) || nameOf(a.id).localeCompare(nameOf(b.id)))
}

/** Says, quietly, that what is shown may be old, and what of it is not real. */
function Banner() {
  const { link, modules } = useContext(AppContext)
  const { is } = link.state.value
  const simulated = [...modules.all.value.keys()].filter((id) => modules.isSimulated(id)).map(nameOf)
  return (
    <div role="status" class="banner-place">
      {is === 'lost' && <p class="banner">{t('link.lost')}</p>}
      {simulated.length > 0 && <p class="banner">{t('app.simulated', { modules: simulated.join(', ') })}</p>}
    </div>
  )
}

function Navigation() {
  const { modules } = useContext(AppContext)
  const isTelegram = telegram.value !== undefined
  return (
    <nav aria-label={t('app.modules')}>
      <p class="brand">
        {route.value !== '' && !isTelegram && (
          <button type="button" class="plain-button back" aria-label={t('app.back')} onClick={() => go('')}>
            ‹
          </button>
        )}
        Patchbay
      </p>
      <ul>
        {inOrder(modules).map((module) => (
          <li key={module.id}>
            <ModuleLink module={module} />
          </li>
        ))}
      </ul>
    </nav>
  )
}

function ModuleLink({ module }: { module: Module }) {
  const { state } = module.standing.value
  const open = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return
    event.preventDefault()
    go(module.id)
  }
  return (
    <a href={`#/${module.id}`} aria-current={route.value === module.id ? 'page' : undefined} onClick={open}>
      <span class={`dot ${state}`} aria-hidden="true" />
      <span class="name">{nameOf(module.id)}</span>
      {state !== 'running' && <span class="soft">{t(`state.${state}`)}</span>}
    </a>
  )
}

/** On a phone this is the way to everything; on a wider screen the navigation stands beside it. */
function Home() {
  const { link, modules } = useContext(AppContext)
  return (
    <>
      <header class="page-head">
        <h1 tabIndex={-1}>{t('home.title')}</h1>
        <p class="soft">{t('home.hello', { name: link.user.value?.firstName ?? '' })}</p>
      </header>
      {!modules.isKnown.value && <p class="soft">{t('value.waiting')}</p>}
      <ul class="tiles">
        {inOrder(modules).map((module) => (
          <Tile key={module.id} module={module} />
        ))}
      </ul>
    </>
  )
}

function Tile({ module }: { module: Module }) {
  const standing = module.standing.value
  const { builtin } = module.contract.value
  const description = descriptionOf(module.contract.value)
  return (
    <li class="card tile">
      <h2>
        <a
          href={`#/${module.id}`}
          onClick={(event) => {
            event.preventDefault()
            go(module.id)
          }}
        >
          {nameOf(module.id)}
        </a>
      </h2>
      <StateBadge standing={standing} />
      {!builtin && <span class="tag">{t('module.foreignTag')}</span>}
      <SimulatedTag module={module} />
      <p class="soft">{standing.state === 'running' || isPlainlyOff(module) ? description : (standing.reason ?? description)}</p>
    </li>
  )
}
