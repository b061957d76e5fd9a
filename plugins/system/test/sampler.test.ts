import * as os from 'node:os'
import t from 'tap'
import { createNetwork } from '../driver/network.ts'
import { createSampler } from '../driver/sampler.ts'
import { createSensors } from '../driver/sensors.ts'
import { openMachine } from './machine.ts'

void t.test('a Pi tells temperature, clock, fan and under-voltage', async (t) => {
  const pi = openMachine(t, 'raspberry-pi-5-by-documentation')
  pi.sampler.begin()
  const stats = await pi.sampler.sample()
  t.match(stats.cpu, { temperature: 54.4, frequency: 2400, model: 'Cortex-A76', cores: 4 })
  t.same(stats.fan, { percent: 29, rpm: 2843 })
  t.equal(stats.underVoltage, false)
  t.equal(stats.uptime, 18234.56)
  pi.write('sys/class/hwmon/hwmon4/in0_lcrit_alarm', '1\n')
  t.equal((await pi.sampler.sample()).underVoltage, true)
})

void t.test('used memory is what is not available, free what nothing uses', async (t) => {
  const { memory } = await openMachine(t, 'raspberry-pi-5-by-documentation').sampler.sample()
  const total = 8256160 * 1024
  t.same(memory, {
    total,
    used: total - 6543212 * 1024,
    free: 3212344 * 1024,
    available: 6543212 * 1024,
    percent: 20.7,
  })
})

void t.test('a machine without sensors tells null and has no extra fields', async (t) => {
  const vm = openMachine(t, 'debian12-microvm')
  const stats = await vm.sampler.sample()
  t.equal(stats.cpu.temperature, null)
  t.equal(stats.cpu.frequency, 2700)
  t.same(Object.keys(stats).sort(), ['cpu', 'disk', 'memory', 'network', 'uptime'])
  vm.remove('proc/cpuinfo')
  t.equal((await vm.sampler.sample()).cpu.frequency, null)
})

void t.test('the temperature is the processor monitor, not the board zone or a disk', (t) => {
  const pc = openMachine(t, 'container-host-by-documentation')
  t.equal(pc.sensors.temperature(), 61)
  pc.write('sys/class/hwmon/hwmon10/temp1_input', 'not a number\n')
  t.equal(pc.sensors.temperature(), null)
  pc.remove('sys/class/hwmon/hwmon10')
  t.equal(createSensors(pc.root).temperature(), null)
  t.end()
})

void t.test('a sensor whose driver comes later is found within a minute', (t) => {
  const pi = openMachine(t, 'raspberry-pi-5-by-documentation')
  pi.write('sys/class/thermal/thermal_zone0/type', 'gpu-thermal\n')
  const sensors = createSensors(pi.root)
  t.equal(sensors.temperature(), null)
  pi.write('sys/class/thermal/thermal_zone0/type', 'cpu-thermal\n')
  const now = performance.now()
  t.intercept(performance, 'now', { value: () => now + 61_000 })
  t.equal(sensors.temperature(), 54.4)
  t.end()
})

void t.test('usage is the share of busy time since the sample before', async (t) => {
  const pc = openMachine(t, 'container-host-by-documentation')
  pc.sampler.begin()
  pc.write('proc/stat', 'cpu  910 100 510 8050 420 0 50 60 99 0\n') // Busy 10 + 10 + 10 of 100; guest time is not added.
  t.equal((await pc.sampler.sample()).cpu.usage, 30)
  t.equal((await pc.sampler.sample()).cpu.usage, 30, 'no time passed: the last figure stands')
  pc.write('proc/stat', 'cpu  920 100 510 8000 420 0 50 160 99 0\n')
  t.equal((await pc.sampler.sample()).cpu.usage, 100, 'idle time that runs backwards is no negative share')
})

void t.test('hardware comes first, connected before unplugged, with its own figures', async (t) => {
  const { network } = await openMachine(t, 'raspberry-pi-5-by-documentation').sampler.sample()
  t.same(network, [
    { iface: 'wlan0', ip4: '192.168.1.23', mac: '2c:cf:67:00:00:02', speed: null, isUp: true, rx: null, tx: null },
    { iface: 'eth0', ip4: '', mac: '2c:cf:67:00:00:01', speed: null, isUp: false, rx: null, tx: null },
  ])
})

void t.test('bridges of containers and their veth pairs are left out, a VPN and a bridge on hardware are not', async (t) => {
  const { network } = await openMachine(t, 'container-host-by-documentation').sampler.sample()
  t.same(
    network.map(({ iface, ip4, mac, speed, isUp }) => [iface, ip4, mac, speed, isUp]),
    [
      ['enp3s0', '10.0.0.5', '52:54:00:00:00:03', 1000, true],
      ['enp4s0', '', '52:54:00:00:00:04', 2500, true],
      ['wg0', '10.8.0.2', '', null, true],
      ['vmbr0', '192.168.5.1', '02:42:00:00:00:01', 10000, true],
    ],
  )
})

void t.test('inside a container its one virtual interface is shown', async (t) => {
  const { network, cpu } = await openMachine(t, 'inside-container-by-documentation').sampler.sample()
  t.match(network, [{ iface: 'eth0', ip4: '172.17.0.2', isUp: true }])
  t.equal(cpu.model, '', 'a model that nobody knows is not called unknown')
})

void t.test('an interface that goes between listing and reading does no harm', async (t) => {
  const pi = openMachine(t, 'raspberry-pi-5-by-documentation')
  pi.sampler.begin()
  await pi.sampler.sample()
  pi.remove('sys/class/net/wlan0')
  const { network } = await pi.sampler.sample()
  t.match(
    network.find(({ iface }) => iface === 'wlan0'),
    { isUp: false, speed: null },
  )
  pi.write('proc/net/dev', pi.read('proc/net/dev').replace(/^.*wlan0.*\n/m, ''))
  t.same(
    (await pi.sampler.sample()).network.map(({ iface }) => iface),
    ['eth0'],
  )
})

void t.test('the speed is asked again only when the link changed', async (t) => {
  const pc = openMachine(t, 'container-host-by-documentation')
  const speed = async () => (await pc.sampler.sample()).network[0]?.speed
  t.equal(await speed(), 1000)
  pc.write('sys/class/net/enp3s0/speed', '100\n')
  t.equal(await speed(), 1000)
  pc.write('sys/class/net/enp3s0/carrier_changes', '4\n')
  t.equal(await speed(), 100)
  pc.write('sys/class/net/enp3s0/carrier_changes', '5\n')
  pc.write('sys/class/net/enp3s0/speed', '4294967295\n')
  t.equal(await speed(), null)
})

void t.test('traffic is bytes per second since the sample before, and never negative', async (t) => {
  const pc = openMachine(t, 'container-host-by-documentation')
  let now = 1000
  t.intercept(performance, 'now', { value: () => now })
  pc.sampler.begin()
  now += 2000
  pc.write('proc/net/dev', pc.read('proc/net/dev').replace('1000000', '1004000').replace('500000', '499999'))
  const { network } = await pc.sampler.sample()
  t.match(network[0], { iface: 'enp3s0', rx: 2000, tx: 0 })
})

void t.test('without /proc a sample fails and the next one works again', async (t) => {
  const vm = openMachine(t, 'debian12-microvm')
  for (const file of ['proc/meminfo', 'proc/uptime', 'proc/net/dev']) {
    const text = vm.read(file)
    vm.remove(file)
    await t.rejects(vm.sampler.sample(), /proc/, file)
    vm.write(file, text)
  }
  await t.resolves(vm.sampler.sample())
})

void t.test('on the real machine the figures agree with what Node says', async (t) => {
  const network = createNetwork('', os.networkInterfaces)
  const sampler = createSampler('', { machine: os, sensors: createSensors(''), network })
  sampler.begin()
  const stats = await sampler.sample()
  t.equal(stats.memory.total, os.totalmem())
  t.ok(Math.abs(stats.uptime - os.uptime()) < 2)
  t.equal(stats.cpu.cores, os.cpus().length)
  t.ok(stats.cpu.usage >= 0 && stats.cpu.usage <= 100)
  t.equal(stats.disk[0]?.mount, '/')
  const mounts = stats.disk.map(({ mount }) => mount)
  t.equal(new Set(mounts).size, mounts.length)
  t.notOk(stats.network.some(({ iface }) => iface === 'lo'))
})
