import type { LinkState } from './link.ts'
import { isInTelegram } from './surroundings.ts'
import { t } from './text.ts'

/** Before anybody is in: what is going on, and what to do. */
export function Threshold({ state }: { state: LinkState }) {
  return (
    <main class="threshold">
      <h1>Patchbay</h1>
      <div role="status">
        {(state.is === 'connecting' || state.is === 'online' || state.is === 'lost') && <p>{t('link.connecting')}</p>}
        {state.is === 'needs login' && (isInTelegram() ? <p>{t('login.again')}</p> : <NeedsLogin />)}
        {state.is === 'refused' && (
          <>
            <p class="bad">{state.reason}</p>
            {state.command && (
              <p>
                <code class="block">{state.command}</code>
              </p>
            )}
            <p>
              <button type="button" onClick={() => location.reload()}>
                {t('link.retry')}
              </button>
            </p>
          </>
        )}
      </div>
    </main>
  )
}

function NeedsLogin() {
  return (
    <>
      <p>{t('login.needed')}</p>
      <p>{t('login.link')}</p>
      <p>
        <code class="block">patchbay login</code>
      </p>
      <p class="soft">{t('login.telegram')}</p>
    </>
  )
}
