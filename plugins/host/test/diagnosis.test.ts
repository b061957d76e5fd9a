import t from 'tap'
import { checkNeeds } from '../../../core/lifecycle/needs.ts'
import { thisUser } from '../../../core/lifecycle/needs-user.ts'
import type { Finding } from '../../../core/plugin/capabilities.ts'
import type { Needs } from '../../../core/plugin/contract.ts'
import type { Patient } from '../../../core/plugin/host-control.ts'
import { SystemBus } from '../../../core/process/dbus.ts'
import { diagnose } from '../driver/diagnosis.ts'

const bus = new SystemBus('unix:path=/nowhere/bus')
const led: Finding = { kind: 'led', name: 'ACT', ok: true, optional: true, sentence: 'There is an LED.' }
const tool = { package: 'a-package' }

type Status = Pick<Patient, 'id' | 'state' | 'reason' | 'simulated'>

function patient(status: Status, needs: Needs = {}, find = (): readonly Finding[] => []): Patient {
  return { ...status, needs, checkNeeds: () => checkNeeds(needs, { bus }), diagnose: async () => find() }
}
const examine = async (patients: readonly Patient[], host?: () => Promise<readonly Finding[]>) =>
  diagnose(patients, { bus, user: await thisUser() }, host)

void t.test('the host comes first, then every plugin with its needs, its permissions and what its drivers find', async (t) => {
  const needs = { tools: { sh: tool, 'no-such-tool': tool }, groups: { 'no-such-group': 'nothing.' } }
  const fine = { ...led, name: 'host' }
  const all = [
    patient({ id: 'lamp', state: 'running' }, needs, () => [led]),
    patient({ id: 'host', state: 'running' }),
    patient({ id: 'camera', state: 'disabled', reason: 'It is not switched on.' }, { devices: ['/nowhere/video0'] }),
  ]
  t.match(await examine(all, async () => [fine]), [
    { id: 'host', state: 'running', findings: [fine] },
    { id: 'camera', state: 'disabled', reason: 'It is not switched on.', findings: [{ kind: 'device', ok: false }] },
    {
      id: 'lamp',
      findings: [{ name: 'sh', ok: true }, { name: 'no-such-tool', ok: false }, { kind: 'group', optional: true }, led],
    },
  ])
})

void t.test('a plugin that failed is told with its reason', async (t) => {
  const broken = patient({ id: 'broken', state: 'failed', reason: 'It has no contract.' })
  t.match(await examine([broken, patient({ id: 'wild', state: 'quarantined' })]), [
    { id: 'broken', findings: [{ kind: 'state', name: 'broken', ok: false, optional: false, sentence: 'It has no contract.' }] },
    { id: 'wild', findings: [{ kind: 'state', sentence: 'It failed.' }] },
  ])
})

void t.test('what is simulated is told first of all that its drivers find', async (t) => {
  const simulated = patient({ id: 'lamp', state: 'running', simulated: true, reason: 'SIMULATED: not real.' }, {}, () => [led])
  const off = patient({ id: 'other', state: 'disabled', simulated: true, reason: 'It is not switched on.' })
  t.match(await examine([simulated, off]), [
    { id: 'lamp', findings: [{ kind: 'simulated', ok: true, sentence: 'SIMULATED: not real.' }, led] },
    { id: 'other', findings: [] },
  ])
})

void t.test('a check that fails hides nothing of the others', async (t) => {
  const broken = patient({ id: 'lamp', state: 'running' }, { tools: { sh: tool } }, () => {
    throw new Error('the LED is gone')
  })
  t.match(await examine([broken, patient({ id: 'host', state: 'running' })], () => Promise.reject(new Error('no disk'))), [
    { id: 'host', findings: [{ kind: 'check', ok: false, sentence: 'This check failed: no disk' }] },
    {
      id: 'lamp',
      findings: [
        { name: 'sh', ok: true },
        { kind: 'check', name: 'driver', sentence: 'This check failed: the LED is gone' },
      ],
    },
  ])
})
