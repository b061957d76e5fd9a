import { useSignal } from '@preact/signals'
import type { CommandResult, EventPayload } from 'patchbay/plugin'
import { useEffect } from 'preact/hooks'
import { CommandButton, give, Latest, type Module, type PanelProps } from '../../panel/app/src/kit.tsx'
import { mayGive } from '../../panel/app/src/rights.ts'
import { go } from '../../panel/app/src/route.ts'
import { formatTime, t } from '../../panel/app/src/text.ts'
import type { host } from '../contract.ts'

type Plugins = EventPayload<typeof host, 'host:plugins'>
type Problems = EventPayload<typeof host, 'host:config'>
type Session = CommandResult<typeof host, 'host:sessions'>['sessions'][number]
type Diagnosis = CommandResult<typeof host, 'host:doctor'>['plugins'][number]

export default function HostPanel({ module }: PanelProps) {
  return (
    <>
      <Latest<Problems> module={module} event="host:config">
        {({ problems }) => (problems.length > 0 ? <ConfigProblems problems={problems} /> : null)}
      </Latest>
      <section class="card">
        <h2>{t('host.plugins')}</h2>
        <Latest<Plugins> module={module} event="host:plugins">
          {(plugins) => <PluginTable plugins={plugins} />}
        </Latest>
      </section>
      <Sessions module={module} />
      {mayGive('owner') && <Doctor module={module} />}
    </>
  )
}

function ConfigProblems({ problems }: Problems) {
  return (
    <section class="card bad">
      <h2>{t('host.config')}</h2>
      <ul>
        {problems.map(({ file, line, message }) => (
          <li key={`${file}:${line}:${message}`}>
            <code>
              {file}:{line}
            </code>{' '}
            {message}
          </li>
        ))}
      </ul>
    </section>
  )
}

function PluginTable({ plugins }: { plugins: Plugins }) {
  return (
    <ul class="plain list">
      {plugins.map(({ id, state, reason, version, builtin, containment, restartPending }) => (
        <li key={id} class="list-row row apart">
          <span class="name">
            <button type="button" class="link" onClick={() => go(id)}>
              {id}
            </button>{' '}
            <span class="soft">
              {version}
              {!builtin && ` · ${t('module.foreignTag')}`}
              {containment && ` · ${containment.sentence}`}
              {restartPending && ` · ${t('host.restartPending')}`}
            </span>
            {reason && state !== 'disabled' && (
              <>
                <br />
                <span class="soft">{reason}</span>
              </>
            )}
          </span>
          <span class={`state ${state}`}>{t(`state.${state}`)}</span>
        </li>
      ))}
    </ul>
  )
}

function Sessions({ module }: { module: Module }) {
  const sessions = useSignal<readonly Session[] | undefined>(undefined)
  const load = async () => {
    const answer = await give(module, 'host:sessions', mayGive('owner') ? { all: true } : undefined)
    if (answer.success) sessions.value = answer['sessions'] as Session[]
  }
  const isOwner = mayGive('owner')
  useEffect(() => void load(), [module, isOwner])
  return (
    <section class="card">
      <h2>{t('host.sessions')}</h2>
      <ul class="plain list">
        {sessions.value?.map(({ id, name, userId, createdAt, lastUsedAt, clients, current, refusedTokens }) => (
          <li key={id} class="list-row row apart">
            <span class="name">
              {name} <span class="soft">{userId}</span> {current && <strong>{t('host.current')}</strong>}
              <br />
              <span class="soft">
                {t('host.session', { since: formatTime(createdAt), used: formatTime(lastUsedAt), clients })}
              </span>
              {refusedTokens.length > 0 && (
                <p class="bad">
                  {t('host.reused', { count: refusedTokens.length, address: refusedTokens.at(-1)?.address ?? '' })}
                </p>
              )}
            </span>
            <CommandButton
              module={module}
              command="host:revoke"
              payload={{ id }}
              label={t('host.revoke')}
              danger={t(current ? 'host.revokeOwn' : 'host.revokeText', { name })}
              done={() => void load()}
            />
          </li>
        ))}
      </ul>
    </section>
  )
}

function Doctor({ module }: { module: Module }) {
  const found = useSignal<readonly Diagnosis[] | undefined>(undefined)
  const wrong = found.value?.flatMap(({ id, findings }) =>
    findings.filter(({ ok }) => !ok).map((finding) => ({ id, ...finding })),
  )
  return (
    <section class="card">
      <h2>{t('host.doctor')}</h2>
      <p class="soft">{t('host.doctorText')}</p>
      <CommandButton
        module={module}
        command="host:doctor"
        label={t('host.examine')}
        quiet
        done={(answer) => {
          if (answer.success) found.value = answer['plugins'] as Diagnosis[]
        }}
      />
      {wrong?.length === 0 && <p class="good">{t('host.healthy')}</p>}
      <ul class="plain list">
        {wrong?.map(({ id, kind, name, sentence, mend, optional }) => (
          <li key={`${id}/${kind}/${name}`} class="list-row">
            <span class={optional ? 'warn' : 'bad'}>
              <strong>{id}</strong>: {sentence}
            </span>
            {mend && <code class="block">{mend}</code>}
          </li>
        ))}
      </ul>
    </section>
  )
}
