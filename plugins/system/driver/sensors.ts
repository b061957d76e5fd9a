import { listNames, oneDecimal, readLine, readNumber } from './read.ts'

/** What a Raspberry Pi's sensors say, each only where its driver is there. */
export interface Extras {
  /** The supply was too weak within the last two seconds (driver rpi_volt). */
  underVoltage?: boolean
  /** The cooling fan (driver pwm-fan, whose monitor is called pwmfan or cooling_fan): what it is told, 0 to 100 %, and what it does; null without a tachometer. */
  fan?: { percent: number | null; rpm: number | null }
}

export interface Sensors {
  /** The CPU's temperature in degrees Celsius, or null. */
  temperature(): number | null
  extras(): Extras
}

/** Drivers come late and get new numbers: after this many milliseconds the sensors are looked for again. */
const SEARCH_AGAIN_MS = 60_000

export function createSensors(root: string): Sensors {
  let paths = findSensors(root)
  let foundAt = performance.now()
  const current = () => {
    if (performance.now() - foundAt > SEARCH_AGAIN_MS) {
      paths = findSensors(root)
      foundAt = performance.now()
    }
    return paths
  }
  return {
    temperature() {
      const { temperature } = current()
      const millidegrees = temperature === undefined ? undefined : readNumber(temperature)
      return millidegrees === undefined ? null : oneDecimal(millidegrees / 1000)
    },
    extras() {
      const { voltage, fan } = current()
      const alarm = voltage === undefined ? undefined : readNumber(`${voltage}/in0_lcrit_alarm`)
      const pwm = fan === undefined ? undefined : readNumber(`${fan}/pwm1`)
      const rpm = fan === undefined ? undefined : readNumber(`${fan}/fan1_input`)
      return {
        ...(alarm !== undefined && { underVoltage: alarm !== 0 }),
        ...((pwm !== undefined || rpm !== undefined) && {
          fan: { percent: pwm === undefined ? null : Math.round((100 * pwm) / 255), rpm: rpm ?? null },
        }),
      }
    },
  }
}

interface SensorPaths {
  temperature: string | undefined
  voltage: string | undefined
  fan: string | undefined
}

/**
 * The first that there is: the thermal zone of an x86 package, one whose type begins with cpu, the monitors of x86 processors,
 * a zone of the whole chip. A zone of the board (acpitz) or of a disk is not the CPU's and is never taken for it.
 */
function findSensors(root: string): SensorPaths {
  const zones = listNamed(`${root}/sys/class/thermal`, 'thermal_zone', 'type')
  const monitors = listNamed(`${root}/sys/class/hwmon`, 'hwmon', 'name')
  const first = (list: readonly Named[], name: RegExp) => list.find((entry) => name.test(entry.name))?.path
  const zone = first(zones, /^x86_pkg_temp$/) ?? first(zones, /^cpu/i)
  const monitor = first(monitors, /^(coretemp|k10temp|zenpower)$/)
  const chip = first(zones, /^soc/i)
  return {
    temperature: zone ? `${zone}/temp` : monitor ? `${monitor}/temp1_input` : chip && `${chip}/temp`,
    voltage: first(monitors, /^rpi_volt$/),
    fan: first(monitors, /^(pwmfan|cooling_fan)$/),
  }
}

interface Named {
  path: string
  name: string
}

function listNamed(directory: string, prefix: string, nameFile: string): Named[] {
  return listNames(directory)
    .filter((entry) => entry.startsWith(prefix))
    .map((entry) => ({ path: `${directory}/${entry}`, name: readLine(`${directory}/${entry}/${nameFile}`) }))
}
