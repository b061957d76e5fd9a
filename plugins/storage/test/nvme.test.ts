import t from 'tap'
import { readNvme } from '../driver/nvme.ts'
import { failing, type Run, replay, run } from './machine.ts'

const VERSIONS = ['1.12', '2.3', '2.13', '2.16']
const device = '/dev/nvme0n1'

const ask = async (log: Run | Error, id: Run | Error = log) =>
  readNvme(replay({ [`nvme smart-log ${device} -o json`]: log, [`nvme id-ctrl ${device} -o json`]: id }), device)

/** A captured log with other words in it. */
const edited = async (name: string, edit: (stdout: string) => string): Promise<Run> => {
  const captured = await run(name)
  return { ...captured, stdout: edit(captured.stdout) }
}

void t.test('the output of every version that was tried gives the same fields', async (t) => {
  const read = { '1.12': 240, '2.3': 239, '2.13': 241, '2.16': 242 } as Record<string, number>
  for (const version of VERSIONS) {
    const smart = await ask(await run(`nvme-${version}/smart-log`), await run(`nvme-${version}/id-ctrl`))
    t.strictSame(
      smart,
      {
        protocol: 'nvme',
        model: 'QEMU NVMe Ctrl',
        serial: 'LAB0001',
        firmware: '7.2.22',
        temperature: 50,
        percentageUsed: 0,
        powerOnHours: 0,
        dataUnitsWritten: 2,
        dataUnitsRead: read[version],
        mediaErrors: 0,
        unsafeShutdowns: 0,
        errorLogEntries: 0,
        availableSpare: 0,
        availableSpareThreshold: 0,
        criticalWarning: 0,
        passed: null,
        pendingSectors: null,
      },
      version,
    )
  }
})

void t.test('a warning is the same number as a bitmap and as the object of -H', async (t) => {
  const id = await run('nvme-2.3/id-ctrl')
  t.equal((await ask(await run('nvme-2.3/smart-log-warning-9'), id)).criticalWarning, 9)
  for (const version of VERSIONS)
    t.equal((await ask(await run(`nvme-${version}/smart-log-H-warning-9`), id)).criticalWarning, 9, version)
})

void t.test('counters of 128 bits are the nearest number, as bare integers, strings and floats', async (t) => {
  const id = await run('nvme-2.3/id-ctrl')
  const written = async (name: string, value: string) =>
    (await ask(await edited(name, (text) => text.replace(/("data_units_written"\s*:\s*)"?2"?/, `$1${value}`)), id))
      .dataUnitsWritten
  t.equal(await written('nvme-2.13/smart-log', '18446744073709551617'), 2 ** 64)
  t.equal(await written('nvme-2.3/smart-log', '"18446744073709551617"'), 2 ** 64)
  t.equal(await written('nvme-1.12/smart-log', '1.8446744073709552e+19'), 2 ** 64)
  t.equal(await written('nvme-2.3/smart-log', '"340282366920938463463374607431768211455"'), 2 ** 128)
  t.equal(await written('nvme-2.3/smart-log', '"3,200,631,791,616"'), 3_200_631_791_616, 'grouped, as 2.3 prints in some locales')
})

void t.test('a counter that is no count is unknown, not made up', async (t) => {
  const id = await run('nvme-2.3/id-ctrl')
  for (const value of ['"n/a"', '-1', 'null', '"1.5e3"', '[]', '""'])
    t.equal(
      (
        await ask(
          await edited('nvme-2.3/smart-log', (text) => text.replace('"power_on_hours":"0"', `"power_on_hours":${value}`)),
          id,
        )
      ).powerOnHours,
      null,
      value,
    )
})

void t.test('warnings before the JSON are passed over', async (t) => {
  const noisy = await edited(
    'nvme-2.3/smart-log',
    (text) => `Failed to scan topology: {errno 2}\nwarning: old firmware\n${text}\n`,
  )
  t.equal((await ask(noisy, await run('nvme-2.3/id-ctrl'))).dataUnitsRead, 239)
})

void t.test('without the identity the health is still told', async (t) => {
  const smart = await ask(await run('nvme-2.3/smart-log'), await run('nvme-2.3/smart-log-as-user'))
  t.match(smart, { temperature: 50, model: null, serial: null, firmware: null })
})

void t.test('a lack of permission is known in every version, and said with what mends it', async (t) => {
  for (const version of VERSIONS)
    for (const who of ['user', 'group-disk'])
      await t.rejects(
        ask(await run(`nvme-${version}/smart-log-as-${who}`)),
        { code: 'STORAGE_PERMISSION', message: /CAP_SYS_ADMIN and the group disk/ },
        `${version} as ${who}`,
      )
})

void t.test('output that cannot be understood is a failure', async (t) => {
  const id = await run('nvme-2.3/id-ctrl')
  const cut = await edited('nvme-2.3/smart-log', (text) => text.slice(0, 300))
  const zeros = await edited('nvme-2.13/smart-log', (text) => text.replace(/:\d+/g, ':0'))
  const array = await edited('nvme-2.3/smart-log', () => '[{}]')
  for (const log of [cut, zeros, array, await run('nvme-2.13/smart-log-no-device'), { exitCode: 0, stdout: '', stderr: '' }])
    await t.rejects(ask(log, id), { code: 'STORAGE_READ_FAILED' })
})

void t.test('a missing program is said with its package, one that hangs or floods with its name', async (t) => {
  await t.rejects(readNvme(replay({}), device), { code: 'STORAGE_TOOL_MISSING', message: /sudo apt install nvme-cli/ })
  await t.rejects(ask(failing('ETIMEDOUT')), { code: 'STORAGE_READ_FAILED', message: /nvme did not answer within 6 s/ })
  await t.rejects(ask(failing('EFBIG')), { code: 'STORAGE_READ_FAILED', message: /nvme could not be run/ })
})
