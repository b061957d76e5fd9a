import * as os from 'node:os'
import { createHistory, type History } from './history.ts'
import { askModel, type Info, readInfo } from './info.ts'
import { createNetwork } from './network.ts'
import { type Bus, canPower, findPower, type PowerAction, type PowerFinding, power, type Verdict } from './power.ts'
import { createSampler, type Sampler } from './sampler.ts'
import { createSensors } from './sensors.ts'
import { isRaspberryPi, type Programs, readThrottling, type Throttling } from './throttling.ts'

/** The machine whose figures are told and which is restarted. */
export interface Machine {
  readonly sampler: Sampler
  readonly history: History
  /** Whether its firmware complains of its supply and its heat. */
  readonly complains: boolean
  info(onProblem: (error: unknown) => void): Promise<Info>
  throttling(): Promise<Throttling | undefined>
  canPower(action: PowerAction): Promise<Verdict>
  power(action: PowerAction): Promise<void>
  findPower(): Promise<PowerFinding[]>
}

/** The files begin here; driver tests begin elsewhere. */
const ROOT = ''

/** The one that this runs on. */
export function thisMachine(intervalS: number, bus: Bus, programs: Programs): Machine {
  const sensors = createSensors(ROOT)
  const network = createNetwork(ROOT, os.networkInterfaces)
  const answered = (onProblem: (error: unknown) => void) =>
    askModel().catch((error: unknown) => {
      onProblem(error)
      return ''
    })
  return {
    sampler: createSampler(ROOT, { machine: os, sensors, network }),
    history: createHistory(ROOT, intervalS, { sensors, network }),
    complains: isRaspberryPi(ROOT),
    info: (onProblem) => readInfo(ROOT, () => answered(onProblem)),
    throttling: () => readThrottling(programs),
    canPower: (action) => canPower(bus, action),
    power: (action) => power(bus, action),
    findPower: () => findPower(bus),
  }
}
