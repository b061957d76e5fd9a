import type { EventPayload } from 'patchbay/plugin'
import { Chart } from '../../panel/app/src/chart.tsx'
import { CommandButton, Latest, type PanelProps } from '../../panel/app/src/kit.tsx'
import { mayGive } from '../../panel/app/src/rights.ts'
import { formatBytes, formatDuration, formatNumber, t } from '../../panel/app/src/text.ts'
import type { system } from '../contract.ts'
import { type Row, type Stats, spanMs, useHistory } from './history.ts'

type Info = EventPayload<typeof system, 'system:info'>

const percent = (value: number) => `${formatNumber(value, 0)} %`
const rate = (bytes: number) => `${formatBytes(bytes)}/s`

export default function SystemPanel({ module }: PanelProps) {
  const rows = useHistory(module)
  return (
    <>
      <Latest<Stats> module={module} event="system:stats">
        {(stats) => (
          <div class="stack">
            <Warnings stats={stats} />
            <Figures stats={stats} rows={rows} />
            <Disks disks={stats.disk} />
            <Networks networks={stats.network} />
          </div>
        )}
      </Latest>
      <Latest<Info> module={module} event="system:info">
        {(info) => <HostFacts info={info} />}
      </Latest>
      {mayGive('owner') && (
        <section class="card row">
          {(['reboot', 'shutdown'] as const).map((one) => (
            <CommandButton
              key={one}
              module={module}
              command={`system:${one}`}
              label={t(`system.${one}`)}
              danger={t(`system.${one}Text`)}
              said={t('system.going')}
            />
          ))}
        </section>
      )}
    </>
  )
}

/** What a person must do something about. */
function Warnings({ stats: { underVoltage, throttling } }: { stats: Stats }) {
  const now = throttling?.now ?? []
  if (!underVoltage && now.length === 0) return null
  const all = new Set([...(underVoltage ? ['under-voltage' as const] : []), ...now])
  return (
    <p class="card bad" role="status">
      {[...all].map((one) => t(`system.${one}`)).join(' ')}
    </p>
  )
}

function Figures({ stats: { cpu, memory, network, fan, uptime }, rows }: { stats: Stats; rows: readonly Row[] }) {
  const times = rows.map(({ at }) => at)
  const [down, up] = (['rx', 'tx'] as const).map((key) => network.reduce((all, one) => all + (one[key] ?? 0), 0)) as [
    number,
    number,
  ]
  const chart = (
    name: string,
    now: string,
    note: string,
    keys: ReadonlyArray<'cpu' | 'memory' | 'temperature' | 'rx' | 'tx'>,
    format: (value: number) => string,
    most?: number,
  ) => (
    <section class="card">
      <h2>{t(`system.${name}`)}</h2>
      <p class="big" data-figure={name}>
        {now}
      </p>
      <p class="soft">{note}</p>
      <Chart
        label={t('system.chart', { what: t(`system.${name}`), now })}
        times={times}
        lines={keys.map((key) => rows.map((row) => row[key]))}
        spanMs={spanMs}
        format={format}
        {...(most !== undefined && { most })}
      />
    </section>
  )
  const degrees = (value: number) => `${formatNumber(value, 0)} °C`
  const cores = t('system.cores', { model: cpu.model || '?', cores: cpu.cores })
  return (
    <div class="grid">
      {chart('cpu', percent(cpu.usage), cores, ['cpu'], percent, 100)}
      {chart(
        'memory',
        percent(memory.percent),
        t('system.of', { used: formatBytes(memory.used), all: formatBytes(memory.total) }),
        ['memory'],
        percent,
        100,
      )}
      {cpu.temperature !== null &&
        chart(
          'temperature',
          degrees(cpu.temperature),
          fan ? t('system.fan', { percent: fan.percent ?? '?', rpm: fan.rpm ?? '?' }) : '',
          ['temperature'],
          degrees,
          100,
        )}
      {chart(
        'traffic',
        `↓ ${rate(down)}  ↑ ${rate(up)}`,
        t('system.uptime', { time: formatDuration(uptime) }),
        ['rx', 'tx'],
        rate,
      )}
    </div>
  )
}

function Disks({ disks }: { disks: Stats['disk'] }) {
  return (
    <section class="card">
      <h2>{t('system.disks')}</h2>
      {disks.map((disk) => (
        <div key={disk.mount} class="meter-row">
          <span>
            <code>{disk.mount}</code> <span class="soft">{disk.filesystem}</span>
          </span>
          <meter min={0} max={100} low={80} high={92} optimum={10} value={disk.percent} aria-label={disk.mount} />
          <span class="figure">
            {percent(disk.percent)} · {t('system.of', { used: formatBytes(disk.used), all: formatBytes(disk.size) })}
          </span>
        </div>
      ))}
    </section>
  )
}

function Networks({ networks }: { networks: Stats['network'] }) {
  return (
    <section class="card">
      <h2>{t('system.networks')}</h2>
      <ul class="plain">
        {networks.map(({ iface, ip4, isUp, rx, tx }) => (
          <li key={iface} class="row apart">
            <span>
              <strong>{iface}</strong> {isUp ? ip4 : <span class="soft">{t('system.down')}</span>}
            </span>
            {isUp && rx !== null && tx !== null && (
              <span class="figure soft">
                ↓ {rate(rx)} ↑ {rate(tx)}
              </span>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}

function HostFacts({ info: { hostname, os, hardware } }: { info: Info }) {
  const facts = [
    ['hostname', hostname],
    ['hardware', hardware.model],
    ['serial', hardware.serial],
    ['os', `${os.distro} ${os.release}${os.codename && ` (${os.codename})`}`],
    ['kernel', `${os.kernel}, ${os.arch}`],
  ] as const
  return (
    <section class="card">
      <h2>{t('system.facts')}</h2>
      <dl class="fields">
        {facts
          .filter(([, value]) => value !== '')
          .map(([key, value]) => (
            <div key={key} class="field">
              <dt>{t(`system.${key}`)}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  )
}
