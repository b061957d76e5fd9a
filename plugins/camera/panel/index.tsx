import { useSignal } from '@preact/signals'
import type { EventPayload } from 'patchbay/plugin'
import { useEffect, useId, useMemo, useRef } from 'preact/hooks'
import { CommandButton, explain, Latest, notify, type PanelProps, useEvent, useHeard } from '../../panel/app/src/kit.tsx'
import { mayGive } from '../../panel/app/src/rights.ts'
import { formatNumber, formatTime, t } from '../../panel/app/src/text.ts'
import type { camera } from '../contract.ts'
import { Picture } from './picture.ts'

type Status = EventPayload<typeof camera, 'camera:status'>
type Viewers = EventPayload<typeof camera, 'camera:viewers'>
type Snapshot = EventPayload<typeof camera, 'camera:snapshot_result'>

const resolutions = ['480p', '720p', '1080p'] as const

export default function CameraPanel({ module }: PanelProps) {
  const picture = useMemo(() => new Picture(module), [module])
  useEffect(() => () => picture.release(), [picture])
  const status = useHeard<Status>(module, 'camera:status')?.value
  const resolution = useSignal<string>('720p')
  const id = useId()
  const state = picture.state.value
  const start = async () => {
    const answer = await picture.start(resolution.value)
    if (!answer.success) notify('bad', explain(answer))
  }
  if (!mayGive('operator')) return <p class="card">{t('camera.notYours')}</p>
  return (
    <>
      <Latest<Status> module={module} event="camera:status">
        {({ camera: device, simulated, problem }) => (
          <p class="row">
            <strong>{device?.name ?? t('camera.none')}</strong>
            {simulated && <strong class="tag warn">{t('camera.simulated')}</strong>}
            {problem && <span class="bad">{problem.message}</span>}
          </p>
        )}
      </Latest>
      <section class="card">
        <Screen picture={picture} isSimulated={status?.simulated === true} />
        <p role="status" class={state === 'broken' ? 'bad' : 'soft'}>
          {t(`camera.state.${state}`)}
        </p>
        <div class="row">
          <label for={id}>{t('camera.resolution')}</label>
          <select
            id={id}
            class="short"
            onChange={({ currentTarget }) => {
              resolution.value = currentTarget.value
              if (state !== 'off') void start()
            }}
          >
            {(status?.camera?.resolutions ?? resolutions).map((one) => (
              <option key={one} selected={one === resolution.value}>
                {one}
              </option>
            ))}
          </select>
          {state === 'off' || state === 'broken' ? (
            <button type="button" onClick={() => void start()}>
              {t('camera.watch')}
            </button>
          ) : (
            <button type="button" class="quiet" onClick={() => picture.stop()}>
              {t('camera.stop')}
            </button>
          )}
          <CommandButton module={module} command="camera:snapshot" label={t('camera.snapshot')} quiet />
        </div>
      </section>
      <SnapshotCard module={module} />
      <Latest<Viewers> module={module} event="camera:viewers" wait={null}>
        {(viewers) => <WhoWatches viewers={viewers} />}
      </Latest>
    </>
  )
}

function Screen({ picture, isSimulated }: { picture: Picture; isSimulated: boolean }) {
  const video = useRef<HTMLVideoElement>(null)
  const stream = picture.stream.value
  useEffect(() => {
    if (video.current) video.current.srcObject = stream ?? null
  }, [stream])
  return (
    <div class="screen">
      <video ref={video} autoplay muted playsInline aria-label={t('camera.picture')} />
      {isSimulated && <span class="stamp">{t('camera.simulated')}</span>}
    </div>
  )
}

function SnapshotCard({ module }: PanelProps) {
  const shot = useSignal<{ readonly url: string; readonly at: number } | undefined>(undefined)
  useEvent<Snapshot>(module, 'camera:snapshot_result', ({ base64, timestamp }) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
    if (shot.value) URL.revokeObjectURL(shot.value.url)
    shot.value = { url: URL.createObjectURL(new Blob([bytes], { type: 'image/jpeg' })), at: timestamp }
  })
  useEffect(
    () => () => {
      if (shot.value) URL.revokeObjectURL(shot.value.url)
    },
    [],
  )
  if (!shot.value) return null
  const { url, at } = shot.value
  return (
    <figure class="card">
      <img class="shot" src={url} alt={t('camera.shot', { time: formatTime(at) })} />
      <figcaption class="row apart">
        <span class="soft">{formatTime(at)}</span>
        <a href={url} download={`snapshot-${new Date(at).toISOString().replaceAll(':', '-')}.jpg`}>
          {t('camera.save')}
        </a>
      </figcaption>
    </figure>
  )
}

function WhoWatches({ viewers: { viewers, snapshots } }: { viewers: Viewers }) {
  return (
    <section class="card">
      <h2>{t('camera.viewers')}</h2>
      {viewers.length === 0 && <p class="soft">{t('camera.nobody')}</p>}
      <ul class="plain list">
        {viewers.map((one) => (
          <li key={`${one.userId}/${one.since}`} class="list-row">
            {one.userId} <span class="soft">{t(`camera.viewer.${one.state}`)}</span>
            <br />
            <span class="soft figure">
              {[
                one.resolution,
                t('camera.rate', { rate: formatNumber(one.frameRate), kbps: formatNumber(one.bitrateKbps, 0) }),
                t('camera.lost', { percent: formatNumber(one.lostPercent) }),
                one.latencyMs === null ? undefined : t('camera.latency', { ms: formatNumber(one.latencyMs, 0) }),
                one.reason ?? undefined,
              ]
                .filter(Boolean)
                .join(' · ')}
            </span>
          </li>
        ))}
      </ul>
      {snapshots.length > 0 && (
        <p class="soft">
          {t('camera.taken', { all: snapshots.map(({ userId, at }) => `${userId} (${formatTime(Date.parse(at))})`).join(', ') })}
        </p>
      )}
    </section>
  )
}
