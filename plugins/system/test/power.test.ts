import t from 'tap'
import { canPower, findPower, power } from '../driver/power.ts'
import { asBus, standInLogind, startBus } from './private-bus.ts'

const both = [
  { action: 'reboot', order: 'Reboot', verb: 'restart', polkit: 'reboot' },
  { action: 'shutdown', order: 'PowerOff', verb: 'shut down', polkit: 'power-off' },
] as const

for (const { action, order, verb, polkit } of both) {
  void t.test(`logind that says yes is told to ${verb} without asking anybody`, async (t) => {
    const { connect } = await startBus(t)
    const { orders } = await standInLogind(connect(), 'yes')
    const bus = asBus(connect())
    t.same(await canPower(bus, action), { can: 'yes' })
    t.same(orders, [], 'asking is not doing')
    await power(bus, action)
    t.same(orders, [[order, false]])
  })

  for (const answer of ['no', 'challenge']) {
    void t.test(`logind that says ${answer} to ${action} forbids it, and the polkit actions are named`, async (t) => {
      const { connect } = await startBus(t)
      await standInLogind(connect(), answer)
      const reason = new RegExp(`may not ${verb} .*login1\\.${polkit} and .*login1\\.${polkit}-multiple-sessions`)
      t.match(await canPower(asBus(connect()), action), { can: 'forbidden', reason })
    })
  }

  void t.test(`a program that holds the ${action} back is not blamed on polkit`, async (t) => {
    const { connect } = await startBus(t)
    await standInLogind(connect(), 'challenge-inhibitor-blocked')
    t.match(await canPower(asBus(connect()), action), { can: 'inhibited', reason: /systemd-inhibit --list/ })
  })

  void t.test(`a machine that cannot ${verb} is unavailable`, async (t) => {
    const { connect } = await startBus(t)
    await standInLogind(connect(), 'na')
    t.match(await canPower(asBus(connect()), action), {
      can: 'unavailable',
      reason: /this machine cannot be (restarted|shut down)/,
    })
  })

  void t.test(`a ${action} that logind refuses after all rejects with its words`, async (t) => {
    const { connect } = await startBus(t)
    const refusal = Object.assign(new Error('Operation inhibited'), { dbusName: 'org.freedesktop.login1.OperationInProgress' })
    await standInLogind(connect(), 'yes', refusal)
    const bus = asBus(connect())
    t.same(await canPower(bus, action), { can: 'yes' })
    await t.rejects(power(bus, action), {
      message: /Operation inhibited/,
      dbusName: 'org.freedesktop.login1.OperationInProgress',
    })
  })
}

void t.test('a bus without logind is unavailable and says why', async (t) => {
  const { connect } = await startBus(t)
  const verdict = await canPower(asBus(connect()), 'reboot')
  t.match(verdict, { can: 'unavailable', reason: /org\.freedesktop\.login1 was not provided/ })
})

void t.test('a bus that went away is unavailable and says why', async (t) => {
  const { connect, stop } = await startBus(t)
  const client = connect()
  await client.getId()
  await stop()
  const verdict = await canPower(asBus(client), 'shutdown')
  t.match(verdict, { can: 'unavailable', reason: /systemd-logind cannot be asked to shut down this machine: .+/ })
})

void t.test('what logind would answer is found; a lack of permission is left to polkit', async (t) => {
  const find = async (answer: string) => {
    const { connect } = await startBus(t)
    await standInLogind(connect(), answer)
    return findPower(asBus(connect()))
  }
  const finding = { kind: 'logind', optional: true }
  t.same(await find('yes'), [
    { ...finding, name: 'CanReboot', ok: true, sentence: 'systemd-logind can restart this machine.' },
    { ...finding, name: 'CanPowerOff', ok: true, sentence: 'systemd-logind can shut down this machine.' },
  ])
  t.same(await find('challenge'), [])
  t.match(await find('challenge-inhibitor-blocked'), [{ ok: false, mend: 'systemd-inhibit --list' }, { ok: false }])
  t.match(await find('na'), [
    { ...finding, name: 'CanReboot', ok: false, sentence: /says that this machine cannot be restarted/ },
    { ...finding, name: 'CanPowerOff', ok: false, sentence: /says that this machine cannot be shut down/ },
  ])
})
