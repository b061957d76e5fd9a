import t from 'tap'
import { canReboot, reboot } from '../driver/reboot.ts'
import { asBus, standInLogind, startBus } from './private-bus.ts'

void t.test('logind that says yes is told to reboot without asking anybody', async (t) => {
  const { connect } = await startBus(t)
  const { reboots } = await standInLogind(connect(), 'yes')
  const bus = asBus(connect())
  t.same(await canReboot(bus), { can: 'yes' })
  t.same(reboots, [], 'asking is not doing')
  await reboot(bus)
  t.same(reboots, [false])
})

for (const answer of ['no', 'challenge']) {
  void t.test(`logind that says ${answer} forbids it, and the polkit actions are named`, async (t) => {
    const { connect } = await startBus(t)
    await standInLogind(connect(), answer)
    const verdict = await canReboot(asBus(connect()))
    t.match(verdict, { can: 'forbidden', reason: /login1\.reboot and .*login1\.reboot-multiple-sessions/ })
  })
}

void t.test('a program that holds the restart back is not blamed on polkit', async (t) => {
  const { connect } = await startBus(t)
  await standInLogind(connect(), 'challenge-inhibitor-blocked')
  t.match(await canReboot(asBus(connect())), { can: 'forbidden', reason: /systemd-inhibit --list/ })
})

void t.test('a machine that cannot be restarted is unavailable', async (t) => {
  const { connect } = await startBus(t)
  await standInLogind(connect(), 'na')
  t.match(await canReboot(asBus(connect())), { can: 'unavailable', reason: /cannot be restarted/ })
})

void t.test('a bus without logind is unavailable and says why', async (t) => {
  const { connect } = await startBus(t)
  t.match(await canReboot(asBus(connect())), { can: 'unavailable', reason: /org\.freedesktop\.login1 was not provided/ })
})

void t.test('a bus that went away is unavailable and says why', async (t) => {
  const { connect, stop } = await startBus(t)
  const client = connect()
  await client.getId()
  await stop()
  const verdict = await canReboot(asBus(client))
  t.match(verdict, { can: 'unavailable', reason: /systemd-logind cannot be asked to restart this machine: .+/ })
})

void t.test('a reboot that logind refuses after all rejects with its words', async (t) => {
  const { connect } = await startBus(t)
  const refusal = Object.assign(new Error('Operation inhibited'), { dbusName: 'org.freedesktop.login1.OperationInProgress' })
  await standInLogind(connect(), 'yes', refusal)
  const bus = asBus(connect())
  t.same(await canReboot(bus), { can: 'yes' })
  await t.rejects(reboot(bus), { message: /Operation inhibited/, dbusName: 'org.freedesktop.login1.OperationInProgress' })
})
