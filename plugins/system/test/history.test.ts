import t from 'tap'
import { createHistory } from '../driver/history.ts'
import { createNetwork } from '../driver/network.ts'
import { openMachine } from './machine.ts'

/** A machine whose clock and counters the test turns, and its history. */
function open(t: Parameters<typeof openMachine>[0], intervalS = 10, name = 'raspberry-pi-5-by-documentation') {
  const pi = openMachine(t, name)
  const history = createHistory(pi.root, intervalS, pi)
  let [uptime, busy, idle, bytes] = [1000, 0, 0, 0]
  const after = (seconds: number, change: { busy?: number; bytes?: number } = {}) => {
    uptime += seconds
    busy += change.busy ?? 0
    idle += 100 - (change.busy ?? 0)
    bytes += change.bytes ?? 0
    pi.write('proc/uptime', `${uptime.toFixed(2)} 1.00\n`)
    pi.write('proc/stat', `cpu  ${busy} 0 0 ${idle} 0 0 0 0 0 0\n`)
    const line = (iface: string, rx: number, tx: number) => ` ${iface}: ${rx} 0 0 0 0 0 0 0 ${tx} 0 0 0 0 0 0 0\n`
    pi.write('proc/net/dev', `\n\n${line('lo', bytes * 9, 0)}${line('wlan0', bytes, bytes * 2)}${line('tun0', bytes, 0)}`)
    history.sample()
  }
  return { pi, history, after }
}

void t.test('a sample holds the averages since the one before', (t) => {
  const { history, after } = open(t)
  after(0)
  t.same(history.columns().t, [], 'the first reading is only the ground for the next')
  after(10, { busy: 25, bytes: 5000 })
  const { t: times, ...columns } = history.columns()
  t.same(columns, { intervalS: 10, cpu: [25], memory: [20.7], temperature: [54.4], rx: [500], tx: [1000] })
  t.ok(Math.abs((times[0] ?? 0) - Date.now()) < 1000)
  t.end()
})

void t.test('time asleep is a gap: nothing is told of it', (t) => {
  const { history, after } = open(t)
  after(0)
  after(10)
  after(600, { busy: 100, bytes: 1e9 })
  after(10, { busy: 50 })
  const { t: times, cpu } = history.columns()
  t.same(cpu, [0, 50])
  t.equal((times[1] ?? 0) - (times[0] ?? 0), 610_000)
  t.end()
})

void t.test('an hour is kept and no more', (t) => {
  const { history, after } = open(t, 600)
  for (let sample = 0; sample <= 20; sample += 1) after(600, { busy: sample })
  t.same(history.columns().cpu, [15, 16, 17, 18, 19, 20])
  t.end()
})

void t.test('what is older than an hour is not told, also when nothing came after it', (t) => {
  const { pi, history, after } = open(t)
  after(0)
  after(10)
  pi.write('proc/uptime', '5000.00 1.00\n')
  t.same(history.columns().t, [])
  t.end()
})

void t.test('when the date is learned late, earlier samples move along', (t) => {
  const { history, after } = open(t)
  after(0)
  after(10)
  t.intercept(Date, 'now', { value: () => 1_800_000_000_000 })
  t.same(history.columns().t, [1_800_000_000_000])
  t.end()
})

void t.test('counters that start again, and interfaces that come, add no burst', (t) => {
  const { pi, history, after } = open(t)
  after(0, { bytes: 5000 })
  after(10, { bytes: -4000 })
  t.same(history.columns().rx, [0])
  const stat = pi.read('proc/net/dev')
  pi.write('proc/net/dev', `${stat} eth0: 999999 0 0 0 0 0 0 0 999999 0 0 0 0 0 0 0\n`)
  pi.write('proc/uptime', '1020.00 1.00\n')
  pi.write('proc/stat', 'cpu  0 0 0 900 0 0 0 0 0 0\n')
  history.sample()
  t.same(history.columns().rx, [0, 0])
  t.end()
})

void t.test('where there is no hardware all but loopback counts', (t) => {
  const { root } = openMachine(t, 'inside-container-by-documentation')
  t.same(createNetwork(root, () => ({})).carriers(['lo', 'eth0']), ['eth0'])
  t.end()
})

void t.test('a machine without a sensor has null for its temperature', (t) => {
  const { history, after } = open(t, 10, 'debian12-microvm')
  after(0)
  after(10)
  t.same(history.columns().temperature, [null])
  t.end()
})

void t.test('switched off it is empty columns', (t) => {
  const { root, sensors, network } = openMachine(t, 'debian12-microvm')
  t.same(createHistory(root, 0, { sensors, network }).columns(), {
    intervalS: 0,
    t: [],
    cpu: [],
    memory: [],
    temperature: [],
    rx: [],
    tx: [],
  })
  t.end()
})
