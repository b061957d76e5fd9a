// Patchbay as it is in this working tree, for the lab machine.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Machine } from './machine.ts'

const execute = promisify(execFile)
const root = join(import.meta.dirname, '../..')

/** Where the checkout lies inside. */
export const checkout = '/root/patchbay'

/**
 * Puts a checkout into the machine, with `dist/` built before and the packages that Patchbay needs when it runs: what is there
 * when somebody has run `npm ci --omit=dev` and the build. Nothing more is to be had inside, where there is no network.
 */
export async function putPatchbay(machine: Machine): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'patchbay-checkout-'))
  try {
    // As the lock file has them: in a worktree that borrows its packages npm would list those for development too.
    const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { dev?: boolean }>
    }
    const needed = Object.keys(packages).filter((path) => path && !packages[path]?.dev && existsSync(join(root, path)))
    // The words of the script that are not fixed come as arguments.
    const pack = `cd "$1"; { git ls-files -z --cached --others --exclude-standard; git ls-files -z --deleted >"$2/deleted"
      find dist "\${@:3}" -type f -print0; } >"$2/all"
      sort -zu "$2/all" | comm -z -23 - <(sort -zu "$2/deleted") >"$2/files"
      tar --null --files-from="$2/files" --create | { mkdir "$2/tree"; tar -C "$2/tree" --extract; }
      touch "$2/tree/dist/main.js" # the directories are of now; what is built is not older than they are`
    await execute('bash', ['-euo', 'pipefail', '-c', pack, 'pack', root, directory, ...needed])
    await machine.put(join(directory, 'tree'), checkout)
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** Of no bot that exists. */
export const botToken = '123456789:AAHfiqksKZ8WmR2zSjiQ7_v4TMAKdiHm9T0'

/**
 * Makes it a service, by the installer, that listens on port 8080 of every address. `users` are Telegram ids with their roles, `off`
 * plugins that are switched off; with `sound` the session for that goes on. The installer gives the service 30 s to start, which a
 * machine may not keep whose own is busy: here it has longer. What the installer itself does is the subject of service.test.ts.
 */
export async function installPatchbay(
  machine: Machine,
  users: Readonly<Record<string, string>>,
  { off = [], sound = false }: { off?: readonly string[]; sound?: boolean } = {},
): Promise<void> {
  await putPatchbay(machine)
  const plugins = Object.fromEntries(off.map((id) => [id, { enabled: false }]))
  const script = `set -e; cd ${checkout}
    mkdir -p /etc/systemd/system/patchbay.service.d
    printf '[Service]\\nTimeoutStartSec=300\\nWatchdogSec=0\\n' >/etc/systemd/system/patchbay.service.d/patient.conf
    printf '{ "address": "0.0.0.0" }\\n' >config/host.json
    printf '%s\\n' '${JSON.stringify({ users })}' >config/access.json
    printf '%s\\n' '${JSON.stringify({ plugins })}' >config/plugins.json
    install -d -m 700 /etc/credstore
    printf '%s\\n' '${botToken}' | install -m 600 /dev/stdin /etc/credstore/patchbay.telegram-bot-token
    PATCHBAY_READY_WITHIN=300 scripts/install.sh
    # What starts with WirePlumber takes this machine half a minute, and Bluetooth's audio profiles would be there too.
    ${sound ? '' : 'loginctl disable-linger patchbay-sound; systemctl stop user@$(id -u patchbay-sound)'}`
  const { code, output } = await machine.run(script, { timeoutMs: 800_000 })
  if (code !== 0) throw new Error(`The installer failed:\n${output}`)
}
