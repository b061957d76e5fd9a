import t from 'tap'
import { readSmartctl } from '../driver/smartctl.ts'
import { judge } from '../driver/verdict.ts'
import { printed, type Run, replay, run } from './machine.ts'

const ask = (answer: Run, isAta = false) => readSmartctl(replay({ 'smartctl -j -a /dev/sda': answer }), '/dev/sda', isAta)

void t.test('a SATA drive that smartctl does not know tells what all drives agree on, and the rest is null', async (t) => {
  for (const version of ['7.2', '7.3', '7.4', '7.5'])
    t.strictSame(
      await ask(await run(`smartctl-${version}/sata`), true),
      {
        model: 'QEMU HARDDISK',
        serial: 'LABSATA1',
        firmware: '2.5+',
        temperature: 31,
        powerOnHours: 1,
        passed: true,
        protocol: 'ata',
        percentageUsed: null,
        dataUnitsWritten: null,
        dataUnitsRead: null,
        mediaErrors: null,
        unsafeShutdowns: null,
        errorLogEntries: 0,
        availableSpare: null,
        availableSpareThreshold: null,
        criticalWarning: null,
        pendingSectors: null,
      },
      version,
    )
})

void t.test('a SATA SSD in its database tells wear and data written in the contract’s units', async (t) => {
  const smart = await ask(await printed('smartctl-7.0-samsung-860-evo'), true)
  t.match(smart, {
    percentageUsed: 19,
    dataUnitsWritten: 64_777_770,
    dataUnitsRead: null,
    mediaErrors: 0,
    unsafeShutdowns: 4,
    powerOnHours: 14_551,
    temperature: 36,
    errorLogEntries: null,
  })
  const strange = await printed('smartctl-7.0-samsung-860-evo')
  const guess = await ask({
    ...strange,
    stdout: strange.stdout.replace('"in_smartctl_database": true', '"in_smartctl_database": false'),
  })
  t.match(
    guess,
    { percentageUsed: null, dataUnitsWritten: null, unsafeShutdowns: null, powerOnHours: 14_551 },
    'not in the database',
  )
})

void t.test('data written is counted in the unit that its name holds', async (t) => {
  const { stdout, ...rest } = await printed('smartctl-7.0-samsung-860-evo')
  const written = async (name: string, raw: number) =>
    (await ask({ ...rest, stdout: stdout.replace('Total_LBAs_Written', name).replace('64777770148', `${raw}`) }))
      ?.dataUnitsWritten
  t.equal(await written('Host_Writes_32MiB', 1000), 65_536)
  t.equal(await written('Lifetime_Writes_GiB', 1000), 2_097_152)
  t.equal(await written('Unknown_Attribute', 1000), null)
})

void t.test('a failing drive is read in spite of the exit code', async (t) => {
  const smart = await ask(await printed('smartctl-7.1-hitachi-failing-usb', 216))
  t.match(smart, { passed: false, pendingSectors: 8, errorLogEntries: 56, temperature: 25, percentageUsed: null })
  t.match(smart && judge(smart), { verdict: 'failing', reason: /own check.*8 sectors/ })
  const warned = await ask(await run('smartctl-7.5/nvme-warning-9'))
  t.match(warned, { protocol: 'nvme', criticalWarning: 9, passed: false }, 'exit code 8')
})

void t.test('an NVMe drive behind a USB bridge tells everything', async (t) => {
  t.match(await ask(await run('smartctl-7.3/nvme')), {
    protocol: 'nvme',
    temperature: 50,
    dataUnitsRead: 239,
    criticalWarning: 0,
  })
})

void t.test('a SAS drive tells its errors and the data that passed', async (t) => {
  t.match(await ask(await printed('smartctl-seagate-sas')), {
    protocol: 'scsi',
    model: 'SEAGATE ST4000NM0043',
    firmware: 'MS03',
    mediaErrors: 0,
    dataUnitsRead: 345_678_383,
    dataUnitsWritten: 168_891_818,
    powerOnHours: 43_549,
    criticalWarning: null,
  })
})

void t.test('what has no health data is nothing, not a failure', async (t) => {
  for (const name of [
    '7.2/usb-unknown-bridge',
    '7.3/usb-unknown-bridge',
    '7.5/usb-unknown-bridge',
    '7.3/memory-card',
    '7.3/no-device',
  ])
    t.equal(await ask(await run(`smartctl-${name}`)), null, name)
})

void t.test('a lack of permission is known, also where smartctl itself reports success', async (t) => {
  for (const who of ['user', 'group-disk'])
    await t.rejects(
      ask(await run(`smartctl-7.3/sata-as-${who}`), true),
      { code: 'STORAGE_PERMISSION', message: /CAP_SYS_RAWIO/ },
      who,
    )
})

void t.test('output that cannot be understood is a failure, a missing program is said with its package', async (t) => {
  const { stdout, ...rest } = await run('smartctl-7.3/sata')
  await t.rejects(ask({ ...rest, stdout: stdout.slice(0, 2000) }), { code: 'STORAGE_READ_FAILED' })
  await t.rejects(readSmartctl(replay({}), '/dev/sda', true), { code: 'STORAGE_TOOL_MISSING', message: /smartmontools/ })
  const odd =
    '{"device":{"protocol":"ATA"},"smart_status":{"passed":true},"ata_smart_attributes":{"table":[null,7,{"name":"x"}]}}'
  t.match(await ask({ exitCode: 0, stdout: odd, stderr: '' }), { protocol: 'ata', model: null, mediaErrors: null })
})
