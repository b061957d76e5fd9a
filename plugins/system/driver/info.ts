import { arch, hostname, release } from 'node:os'
import { readLine, readText } from './read.ts'

export interface Info {
  hostname: string
  os: { distro: string; release: string; codename: string; kernel: string; arch: string }
  hardware: { model: string; serial: string }
}

/**
 * What does not change, from /etc/os-release and the firmware's tables (device tree on a Pi, DMI on a PC). What cannot be read is '':
 * a PC's serial number is root's alone. `askModel` is asked for the model only where the firmware tells none.
 */
export async function readInfo(root: string, askModel: () => Promise<string>): Promise<Info> {
  const system = parseOsRelease(readText(`${root}/etc/os-release`) ?? readText(`${root}/usr/lib/os-release`) ?? '')
  const tree = `${root}/proc/device-tree`
  const dmi = `${root}/sys/class/dmi/id`
  const model = readLine(`${tree}/model`) || readDmiModel(dmi)
  return {
    hostname: hostname(),
    os: {
      distro: system.get('NAME') ?? '',
      release: system.get('VERSION_ID') ?? '',
      codename: system.get('VERSION_CODENAME') ?? '',
      kernel: release(),
      arch: arch(),
    },
    hardware: {
      model: model || (await askModel()),
      serial: readLine(`${tree}/serial-number`) || meaningful(readLine(`${dmi}/product_serial`)),
    },
  }
}

/** Asks systeminformation, which starts a few programs. Loaded here and not before: it is large, and most machines do without. */
export async function askModel(): Promise<string> {
  const { system } = await import('systeminformation')
  const { model } = await system()
  return meaningful(model)
}

function readDmiModel(dmi: string): string {
  const name = meaningful(readLine(`${dmi}/product_name`)) || meaningful(readLine(`${dmi}/board_name`))
  const vendor = meaningful(readLine(`${dmi}/sys_vendor`)) || meaningful(readLine(`${dmi}/board_vendor`))
  return name === '' || name.startsWith(vendor) ? name : `${vendor} ${name}`
}

/** Vendors leave their forms unfilled, and systeminformation says "Computer" for what it does not know. */
function meaningful(text: string): string {
  const unfilled =
    /^(-|0+|none|unknown|not (specified|available|applicable)|default string|computer|system (product name|manufacturer|serial number)|to be filled.*)$/i
  return unfilled.test(text) ? '' : text
}

/** https://www.freedesktop.org/software/systemd/man/latest/os-release.html: shell assignments, the values possibly quoted. */
function parseOsRelease(text: string): Map<string, string> {
  const lines = text.matchAll(/^([A-Z_]+)=(?:"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)'|(\S*))\s*$/gm)
  return new Map(
    [...lines].map(([, key = '', double, single, bare]) => [key, double?.replace(/\\(.)/g, '$1') ?? single ?? bare ?? '']),
  )
}
