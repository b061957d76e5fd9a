import { setImmediate } from 'node:timers/promises'

/** What the plugin and the bare server both answer with. */
const answer = { ssid: 'Home', ip: '192.168.1.20' }

export const connect = () => answer

/** As a real one does, it answers after a turn of the event loop. */
export async function connectLater() {
  await setImmediate()
  return answer
}

/** The figures of a small machine, as `system:stats` has them. */
export const stats = {
  cpu: { usage: 12.4, temperature: 51.3, model: 'Cortex-A76', cores: 4, frequency: 1500 },
  memory: { total: 8454144000, used: 1290240000, free: 5211340800, available: 7163904000, percent: 15.3 },
  disk: [
    { filesystem: '/dev/nvme0n1p2', type: 'ext4', size: 502468608000, used: 38117376000, mount: '/', percent: 7.6 },
    { filesystem: '/dev/nvme0n1p1', type: 'vfat', size: 534765568, used: 79691776, mount: '/boot/firmware', percent: 14.9 },
  ],
  network: [
    { iface: 'eth0', ip4: '192.168.1.20', mac: 'd8:3a:dd:00:00:01', speed: 1000, isUp: true, rx: 18324, tx: 40112 },
    { iface: 'wlan0', ip4: '', mac: 'd8:3a:dd:00:00:02', speed: null, isUp: false, rx: 0, tx: 0 },
  ],
  uptime: 86412.53,
}
