import { useSignal } from '@preact/signals'
import type { EventPayload } from 'patchbay/plugin'
import type { TargetedSubmitEvent } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { CommandButton, give, Latest, type Module, type PanelProps, useMainButton, useUnsaved } from '../../panel/app/src/kit.tsx'
import { mayGive } from '../../panel/app/src/rights.ts'
import { t } from '../../panel/app/src/text.ts'
import type { wifi } from '../contract.ts'

type Status = EventPayload<typeof wifi, 'wifi:status'>
type Network = EventPayload<typeof wifi, 'wifi:networks'>[number]
type Saved = EventPayload<typeof wifi, 'wifi:saved'>[number]

const scanEveryMs = 30_000

export default function WifiPanel({ module }: PanelProps) {
  const mayChange = mayGive('operator')
  // A list is asked for where somebody looks at it and it is old; the machine limits it for all.
  useEffect(() => {
    const scan = () => {
      const heard = module.heard('wifi:networks').peek()
      if (mayChange && module.isFresh(module.heard('wifi:status').peek()) && Date.now() - (heard?.at ?? 0) > scanEveryMs)
        void module.send('wifi:scan')
    }
    const timer = setTimeout(scan, 500)
    return () => clearTimeout(timer)
  }, [module, mayChange])
  return (
    <>
      <Latest<Status> module={module} event="wifi:status">
        {(status) => <Connection module={module} status={status} mayChange={mayChange} />}
      </Latest>
      <section class="card">
        <div class="row apart">
          <h2>{t('wifi.networks')}</h2>
          {mayChange && <CommandButton module={module} command="wifi:scan" label={t('wifi.scan')} quiet />}
        </div>
        <Latest<Network[]> module={module} event="wifi:networks" wait={<p class="soft">{t('wifi.noScan')}</p>}>
          {(networks) => <Networks module={module} networks={networks} mayChange={mayChange} />}
        </Latest>
      </section>
      {mayChange && <Hidden module={module} />}
      <Latest<Saved[]> module={module} event="wifi:saved">
        {(saved) => <SavedNetworks module={module} saved={saved} mayChange={mayChange} />}
      </Latest>
    </>
  )
}

function Connection({ module, status, mayChange }: { module: Module; status: Status; mayChange: boolean }) {
  const facts = [
    ['ip', status.ip],
    ['gateway', status.gateway],
    ['band', status.band],
    ['security', status.security],
    ['speed', status.speed],
    ['device', status.device],
  ] as const
  return (
    <section class="card">
      <div class="row apart">
        <p class="big" data-figure="wifi">
          {status.ssid ?? t(`wifi.state.${status.state}`)} {status.signal !== undefined && <Bars signal={status.signal} />}
        </p>
        {mayChange && (
          <span class="row">
            {status.state !== 'disconnected' && status.radio && (
              <CommandButton module={module} command="wifi:disconnect" label={t('wifi.disconnect')} danger={t('wifi.branch')} />
            )}
            {status.radio ? (
              <CommandButton
                module={module}
                command="wifi:radio"
                payload={{ enabled: false }}
                label={t('wifi.radioOff')}
                danger={t('wifi.branch')}
              />
            ) : (
              <CommandButton module={module} command="wifi:radio" payload={{ enabled: true }} label={t('wifi.radioOn')} />
            )}
          </span>
        )}
      </div>
      <dl class="fields">
        {facts
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => (
            <div key={key} class="field">
              <dt>{t(`wifi.${key}`)}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  )
}

/** Four bars, and the figure for who cannot see them. */
function Bars({ signal }: { signal: number }) {
  const full = Math.max(1, Math.ceil(signal / 25))
  return (
    <svg class="bars" viewBox="0 0 20 16" role="img" aria-label={t('wifi.signal', { signal })}>
      <title>{t('wifi.signal', { signal })}</title>
      {[0, 1, 2, 3].map((bar) => (
        <rect key={bar} x={bar * 5} y={12 - bar * 4} width={4} height={4 + bar * 4} rx={1} opacity={bar < full ? 1 : 0.25} />
      ))}
    </svg>
  )
}

/** Drawn: not every machine has the character. The kind of security beside it says the same. */
function Lock() {
  return (
    <svg class="lock" viewBox="0 0 12 14" aria-hidden="true">
      <path d="M3 6V4a3 3 0 0 1 6 0v2" fill="none" stroke="currentColor" stroke-width="1.5" />
      <rect x="1" y="6" width="10" height="7" rx="1.5" fill="currentColor" />
    </svg>
  )
}

function Networks({ module, networks, mayChange }: { module: Module; networks: readonly Network[]; mayChange: boolean }) {
  const chosen = useSignal('')
  if (networks.length === 0) return <p class="soft">{t('wifi.none')}</p>
  return (
    <ul class="plain list">
      {networks.map((network) => {
        const key = `${network.ssid}/${network.security}`
        const isOpen = chosen.value === key
        return (
          <li key={key}>
            <button
              type="button"
              class="list-row"
              aria-expanded={isOpen}
              disabled={!mayChange || !network.supported}
              onClick={() => (chosen.value = isOpen ? '' : key)}
            >
              <Bars signal={network.signal} />
              <span class="name">
                {network.ssid}
                {network.connected && <span class="good"> {t('wifi.state.connected')}</span>}
              </span>
              <span class="soft">
                {network.security !== 'Open' && network.security !== 'OWE' && <Lock />} {network.security} · {network.band}
                {network.saved && ` · ${t('wifi.isSaved')}`}
                {!network.supported && ` · ${t('wifi.unsupported')}`}
              </span>
            </button>
            {isOpen && <Join module={module} network={network} done={() => (chosen.value = '')} />}
          </li>
        )
      })}
    </ul>
  )
}

function Join({ module, network, done }: { module: Module; network: Network; done: () => void }) {
  const { ssid, security, saved, securities } = network
  const needsPassword = !saved && security !== 'Open' && security !== 'OWE'
  const password = useSignal('')
  const id = useId()
  useUnsaved(() => password.value !== '')
  const isBusy = module.isPending('wifi:connect')
  const form = useRef<HTMLFormElement>(null)
  useMainButton(t('wifi.join'), isBusy, () => form.current?.requestSubmit())
  const join = async (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    const answer = await give(
      module,
      'wifi:connect',
      { ssid, ...(needsPassword && { password: password.value }) },
      t('wifi.joined', { ssid }),
    )
    if (answer.success) done()
  }
  return (
    <form ref={form} class="inset" onSubmit={(event) => void join(event)}>
      {securities && securities.length > 1 && <p class="bad">{t('wifi.impostor', { all: securities.join(', ') })}</p>}
      {needsPassword && (
        <div class="input">
          <label for={id}>{t('wifi.password')}</label>
          <input
            id={id}
            type="password"
            autocomplete="off"
            required
            minLength={security === 'WEP' ? 5 : 8}
            maxLength={64}
            value={password.value}
            onInput={({ currentTarget }) => (password.value = currentTarget.value)}
          />
        </div>
      )}
      <p class="soft">{t('wifi.undone')}</p>
      <span class="row">
        <button type="submit" disabled={isBusy} aria-busy={isBusy}>
          {isBusy ? t('wifi.joining') : t('wifi.join')}
        </button>
        {saved && <Forget module={module} ssid={ssid} />}
      </span>
    </form>
  )
}

function Forget({ module, ssid }: { module: Module; ssid: string }) {
  const danger = [t('wifi.forgetText', { ssid }), t('wifi.branch')]
  return <CommandButton module={module} command="wifi:forget" payload={{ ssid }} label={t('wifi.forget')} danger={danger} />
}

function Hidden({ module }: { module: Module }) {
  const [ssid, password] = [useSignal(''), useSignal('')]
  const [ssidId, passwordId] = [useId(), useId()]
  const isBusy = module.isPending('wifi:connect')
  const join = async (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    const payload = { ssid: ssid.value, hidden: true, ...(password.value !== '' && { password: password.value }) }
    const answer = await give(module, 'wifi:connect', payload, t('wifi.joined', { ssid: ssid.value }))
    if (answer.success) ssid.value = password.value = ''
  }
  return (
    <details class="card">
      <summary>{t('wifi.hidden')}</summary>
      <form onSubmit={(event) => void join(event)}>
        <div class="input">
          <label for={ssidId}>{t('wifi.name')}</label>
          <input
            id={ssidId}
            required
            maxLength={128}
            autocomplete="off"
            value={ssid.value}
            onInput={({ currentTarget }) => (ssid.value = currentTarget.value)}
          />
        </div>
        <div class="input">
          <label for={passwordId}>{t('wifi.password')}</label>
          <input
            id={passwordId}
            type="password"
            maxLength={64}
            autocomplete="off"
            value={password.value}
            onInput={({ currentTarget }) => (password.value = currentTarget.value)}
          />
        </div>
        <button type="submit" disabled={isBusy} aria-busy={isBusy}>
          {isBusy ? t('wifi.joining') : t('wifi.join')}
        </button>
      </form>
    </details>
  )
}

function SavedNetworks({ module, saved, mayChange }: { module: Module; saved: readonly Saved[]; mayChange: boolean }) {
  if (saved.length === 0) return null
  return (
    <section class="card">
      <h2>{t('wifi.saved')}</h2>
      <ul class="plain">
        {saved.map(({ ssid, security }) => (
          <li key={`${ssid}/${security}`} class="row apart">
            <span>
              {ssid} <span class="soft">{security}</span>
            </span>
            {mayChange && <Forget module={module} ssid={ssid} />}
          </li>
        ))}
      </ul>
    </section>
  )
}
