import type { EventPayload } from 'patchbay/plugin'
import { CommandButton, Latest, type PanelProps } from '../../panel/app/src/kit.tsx'
import { mayGive } from '../../panel/app/src/rights.ts'
import { formatBytes, formatDuration, formatNumber, t } from '../../panel/app/src/text.ts'
import type { storage } from '../contract.ts'

type Drive = EventPayload<typeof storage, 'storage:drives'>[number]
type Partition = EventPayload<typeof storage, 'storage:partitions'>[number]

/** A data unit of NVMe, in bytes. */
const unit = 512_000

export default function StoragePanel({ module }: PanelProps) {
  return (
    <>
      <Latest<Drive> module={module} event="storage:health" wait={null}>
        {(drive) => <DriveCard drive={drive} />}
      </Latest>
      <Latest<Drive[]> module={module} event="storage:drives" wait={null}>
        {(drives) => (
          <div class="stack">
            {drives.map((drive) => (
              <DriveCard key={drive.device} drive={drive} />
            ))}
          </div>
        )}
      </Latest>
      <Latest<Partition[]> module={module} event="storage:partitions">
        {(partitions) => <Partitions partitions={partitions} />}
      </Latest>
      {mayGive('operator') && (
        <p>
          <CommandButton module={module} command="storage:refresh" label={t('storage.refresh')} quiet />
        </p>
      )}
    </>
  )
}

function DriveCard({ drive }: { drive: Drive }) {
  const { device, model, serial, firmware, size, verdict, reason, system, temperature, percentageUsed, powerOnHours } = drive
  const tone = { good: 'good', worn: 'warn', failing: 'bad' } as const
  const facts = [
    ['temperature', temperature === null ? null : `${formatNumber(temperature, 0)} °C`],
    ['wear', percentageUsed === null ? null : `${formatNumber(percentageUsed, 0)} %`],
    ['spare', drive.availableSpare === null ? null : `${formatNumber(drive.availableSpare, 0)} %`],
    ['hours', powerOnHours === null ? null : formatDuration(powerOnHours * 3600)],
    ['written', drive.dataUnitsWritten === null ? null : formatBytes(drive.dataUnitsWritten * unit)],
    ['read', drive.dataUnitsRead === null ? null : formatBytes(drive.dataUnitsRead * unit)],
    ['mediaErrors', drive.mediaErrors === null ? null : formatNumber(drive.mediaErrors)],
    ['unsafeShutdowns', drive.unsafeShutdowns === null ? null : formatNumber(drive.unsafeShutdowns)],
    ['serial', serial],
    ['firmware', firmware],
  ] as const
  return (
    <section class="card">
      <div class="row apart">
        <h2>
          {model || device} <span class="soft">{formatBytes(size)}</span>
        </h2>
        <strong class={verdict === null ? 'soft' : tone[verdict]}>{t(`storage.verdict.${verdict ?? 'unknown'}`)}</strong>
      </div>
      <p>{reason}</p>
      <p class="soft">
        <code>{device}</code>
        {system && ` · ${t('storage.system')}`}
      </p>
      <dl class="fields">
        {facts
          .filter(([, value]) => value !== null && value !== '')
          .map(([key, value]) => (
            <div key={key} class="field">
              <dt>{t(`storage.${key}`)}</dt>
              <dd class="figure">{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  )
}

function Partitions({ partitions }: { partitions: readonly Partition[] }) {
  return (
    <section class="card">
      <h2>{t('storage.partitions')}</h2>
      {partitions.map(({ device, mount, filesystem, size, used, percent }) => (
        <div key={mount} class="meter-row">
          <span>
            <code>{mount}</code>{' '}
            <span class="soft">
              {device}, {filesystem}
            </span>
          </span>
          <meter min={0} max={100} low={80} high={92} optimum={10} value={percent} aria-label={mount} />
          <span class="figure">
            {percent} % · {t('storage.of', { used: formatBytes(used), all: formatBytes(size) })}
          </span>
        </div>
      ))}
    </section>
  )
}
