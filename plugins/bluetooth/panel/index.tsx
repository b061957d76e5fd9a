import { useSignal } from '@preact/signals'
import type { EventPayload } from 'patchbay/plugin'
import { CommandButton, give, Latest, type Module, type PanelProps } from '../../panel/app/src/kit.tsx'
import { mayGive } from '../../panel/app/src/rights.ts'
import { t } from '../../panel/app/src/text.ts'
import type { bluetooth } from '../contract.ts'
import { PairingQuestion } from './pairing.tsx'

type Status = EventPayload<typeof bluetooth, 'bluetooth:status'>
type Device = EventPayload<typeof bluetooth, 'bluetooth:devices'>[number]

export default function BluetoothPanel({ module }: PanelProps) {
  const mayChange = mayGive('operator')
  return (
    <>
      <Latest<Status> module={module} event="bluetooth:status">
        {(status) => <Adapter module={module} status={status} mayChange={mayChange} />}
      </Latest>
      <section class="card">
        <h2>{t('bluetooth.devices')}</h2>
        <Latest<Device[]> module={module} event="bluetooth:devices">
          {(devices) => <Devices module={module} devices={devices} mayChange={mayChange} />}
        </Latest>
      </section>
      {mayChange && <PairingQuestion module={module} />}
    </>
  )
}

function Adapter({ module, status, mayChange }: { module: Module; status: Status; mayChange: boolean }) {
  const { powered, discoverable, discovering, blocked, adapter } = status
  const button = (command: string, label: string, payload?: object) => (
    <CommandButton module={module} command={command} label={label} quiet {...(payload && { payload })} />
  )
  return (
    <section class="card">
      <p class="big" data-figure="bluetooth">
        {adapter.name ?? adapter.mac}
      </p>
      <p class="soft">
        {blocked === 'none' ? t(powered ? 'bluetooth.on' : 'bluetooth.off') : t(`bluetooth.blocked.${blocked}`)}
        {discovering && ` · ${t('bluetooth.scanning')}`}
        {discoverable && ` · ${t('bluetooth.discoverable')}`}
      </p>
      {mayChange && (
        <p class="row">
          {powered &&
            (discovering ? button('bluetooth:stop_scan', t('bluetooth.stop')) : button('bluetooth:scan', t('bluetooth.scan')))}
          {powered &&
            button('bluetooth:discoverable', t(discoverable ? 'bluetooth.hide' : 'bluetooth.show'), { on: !discoverable })}
          {button('bluetooth:power', t(powered ? 'bluetooth.switchOff' : 'bluetooth.switchOn'), { on: !powered })}
        </p>
      )}
    </section>
  )
}

function Devices({ module, devices, mayChange }: { module: Module; devices: readonly Device[]; mayChange: boolean }) {
  if (devices.length === 0) return <p class="soft">{t('bluetooth.none')}</p>
  const rank = ({ connected, paired, rssi }: Device) => (connected ? 0 : paired ? 1 : 2) * 1000 - (rssi ?? -200)
  return (
    <ul class="plain list">
      {[...devices]
        .sort((one, other) => rank(one) - rank(other))
        .map((device) => (
          <DeviceRow key={device.mac} module={module} device={device} mayChange={mayChange} />
        ))}
    </ul>
  )
}

function DeviceRow({ module, device, mayChange }: { module: Module; device: Device; mayChange: boolean }) {
  const { name, mac, type, paired, connected, blocked, battery, rssi, canType } = device
  // Which of several rows is under way.
  const busy = useSignal('')
  const press = async (command: string, payload: object = { mac }) => {
    busy.value = command
    await give(module, command, payload)
    busy.value = ''
  }
  const button = (command: string, label: string) => (
    <button
      type="button"
      class="quiet"
      disabled={busy.value !== ''}
      aria-busy={busy.value === command}
      onClick={() => void press(command)}
    >
      {label}
    </button>
  )
  return (
    <li class="row apart list-row" data-mac={mac}>
      <span class="name">
        {name ?? mac}
        {connected && <span class="good"> {t('bluetooth.connected')}</span>}
        <br />
        <span class="soft">
          {[
            t(`bluetooth.type.${type}`),
            name === null ? undefined : mac,
            paired ? t('bluetooth.paired') : undefined,
            canType ? t('bluetooth.canType') : undefined,
            blocked ? t('bluetooth.isBlocked') : undefined,
            battery === null ? undefined : t('bluetooth.battery', { battery }),
            rssi === null ? undefined : `${rssi} dBm`,
          ]
            .filter(Boolean)
            .join(' · ')}
        </span>
      </span>
      {mayChange && (
        <span class="row">
          {!paired && button('bluetooth:pair', t('bluetooth.pair'))}
          {paired && !connected && button('bluetooth:connect', t('bluetooth.connect'))}
          {connected && button('bluetooth:disconnect', t('bluetooth.disconnect'))}
          {paired && (
            <CommandButton
              module={module}
              command="bluetooth:unpair"
              payload={{ mac }}
              label={t('bluetooth.unpair')}
              danger={t('bluetooth.unpairText', { name: name ?? mac })}
            />
          )}
        </span>
      )}
    </li>
  )
}
