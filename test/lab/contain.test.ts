// A stranger's plugin on a machine where Patchbay is installed: what it can touch, if it does all it can. One machine; the tests follow
// one another. The plugin runs any script it is given: what holds it here is its service, not Node.js.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { io } from 'socket.io-client'
import t from 'tap'
import type { Contract, Needs } from '../../core/plugin/contract.ts'
import type { PluginStatus } from '../../core/plugin/host-control.ts'
import { signedInitData } from '../../core/testing/init-data.ts'
import type { Answer } from '../../core/testing/types.ts'
import { bootMachine } from './machine.ts'
import { botToken, installPatchbay } from './patchbay.ts'

t.setTimeout(1_800_000)

/** Milliseconds for whatever is waited for: a process starts slowly in here, and slower when the machine outside is busy. */
const patienceMs = 300_000
const machine = await bootMachine(t, { ports: [8080], frozen: true })

/** The output of a script that must succeed. */
async function sh(script: string, timeoutMs = 180_000): Promise<string> {
  const { code, output } = await machine.run(script, { timeoutMs })
  if (code !== 0) throw new Error(`exit code ${code} of ${script}:\n${output}`)
  return output.trimEnd()
}

const contract = (id: string, capabilities: NonNullable<Contract['capabilities']>, needs: Needs): Contract => ({
  id,
  capabilities,
  needs,
  commands: {
    [`${id}:run`]: {
      payload: {
        type: 'object',
        required: ['script'],
        properties: { script: { type: 'string', maxLength: 4096 } },
        additionalProperties: false,
      },
      timeoutMs: 200_000,
    },
    [`${id}:hang`]: {},
    ...(capabilities.store && { [`${id}:count`]: {} }),
  },
})
const code = (id: string) => `import { readFile } from 'node:fs/promises'
import { definePlugin } from 'patchbay/plugin'
const contract = JSON.parse(await readFile(new URL('./contract.json', import.meta.url), 'utf8'))
export default definePlugin(contract, {
  start(ctx) {
    ctx.handle('${id}:run', async ({ script }) => {
      const { exitCode, stdout, stderr } = await ctx.exec.run('bash', ['-c', script], { timeoutMs: 190_000 })
      return { exitCode, output: stdout + stderr }
    })
    ctx.handle('${id}:hang', () => { for (;;); })
    const up = (db) => db.schema.createTable('times').addColumn('id', 'integer', (column) => column.primaryKey()).execute()
    const down = (db) => db.schema.dropTable('times').execute()
    let store
    if (contract.capabilities.store) ctx.handle('${id}:count', async () => {
      const { db } = await (store ??= ctx.store.open({ '1': { up, down } }))
      await db.insertInto('times').defaultValues().execute()
      return { times: (await db.selectFrom('times').selectAll().execute()).length }
    })
  },
})
`

/** Drops a plugin in, as a person does who has copied it there. */
async function dropIn(id: string, capabilities: NonNullable<Contract['capabilities']>, needs: Needs = {}): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-intruder-'))
  t.teardown(() => rm(dir, { recursive: true }))
  await mkdir(join(dir, id))
  const manifest = { name: id, version: '1.0.0', type: 'module', patchbay: { api: 1, contract: './contract.json' } }
  await writeFile(join(dir, id, 'package.json'), JSON.stringify(manifest))
  await writeFile(join(dir, id, 'contract.json'), JSON.stringify(contract(id, capabilities, needs)))
  await writeFile(join(dir, id, 'index.js'), code(id))
  await machine.put(join(dir, id), `/var/lib/patchbay/plugins/${id}`)
  await sh(`chown -R patchbay:patchbay /var/lib/patchbay/plugins && chmod -R go-rwx /var/lib/patchbay/plugins`)
}

const connect = async () => {
  const url = `http://127.0.0.1:${machine.ports.get(8080)}`
  const auth = { initData: signedInitData(botToken, 1000) }
  const socket = io(url, { auth, transports: ['websocket'], forceNew: true })
  t.teardown(() => socket.close())
  await new Promise((resolve) => socket.once('auth:success', resolve))
  return { socket }
}

/** A plugin's row, once it is so. This machine takes its time. */
async function row(id: string, isSo: (row: PluginStatus) => boolean): Promise<PluginStatus> {
  const { socket } = await connect()
  let seen: PluginStatus | undefined
  const found = new Promise<PluginStatus>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${id} is ${JSON.stringify(seen)}`)), patienceMs)
    socket.on('host:plugins', (rows: PluginStatus[]) => {
      seen = rows.find((row) => row.id === id)
      if (!seen || !isSo(seen)) return
      clearTimeout(timer)
      resolve(seen)
    })
  })
  socket.emit('module:subscribe', { module: 'host' })
  return found.finally(() => socket.close())
}
const running = (id: string) => row(id, ({ state }) => state === 'running')

/** Grants it what it asks for, as the owner does in the app. */
async function enable(id: string, ...grants: string[]): Promise<PluginStatus> {
  await row(id, () => true)
  await owner.ask('host:enable', { id, grants })
  return running(id)
}

const owner = {
  async ask(command: string, payload?: object): Promise<Answer> {
    const { socket } = await connect()
    const answer: unknown = await socket.timeout(patienceMs).emitWithAck(command, payload ?? {})
    socket.close()
    return answer as Answer
  },
}
/** What a script prints that the plugin runs. */
async function inside(id: string, script: string): Promise<string> {
  const { success, output, error } = await owner.ask(`${id}:run`, { script })
  if (!success) throw new Error(`${script}: ${error}`)
  return String(output).trim()
}

void t.test('a plugin from elsewhere runs as a service with a user of its own', async (t) => {
  await installPatchbay(machine, { 1000: 'owner' }, { off: ['storage', 'system', 'metrics'] })
  await dropIn('intruder', { exec: ['bash'] })
  t.match(await enable('intruder', 'exec:bash'), { containment: { level: 'contained' } })
  t.equal(await sh('systemctl is-active patchbay-plugin@intruder.service'), 'active')
  const [daemon, plugin] = [await sh('id -u patchbay'), await inside('intruder', 'id -u')]
  t.not(plugin, daemon)
  t.not(plugin, '0')
  t.match(await inside('intruder', 'id -Gn; cat /proc/self/status'), /NoNewPrivs:\s+1\n/)
  const [, exposure] =
    /Overall exposure level for .*: ([\d.]+)/.exec(await sh('systemd-analyze security --no-pager patchbay-plugin@intruder')) ?? []
  t.comment(`exposure ${exposure}`)
  t.ok(Number(exposure) < 1.5, `exposure ${exposure}`)
})

void t.test('it can neither signal the daemon nor look into it', async (t) => {
  const pid = await sh('systemctl show -P MainPID patchbay')
  for (const signal of ['0', 'USR1', 'TERM', 'KILL'])
    t.match(await inside('intruder', `kill -${signal} ${pid}`), 'not permitted', signal)
  t.match(
    await inside('intruder', `ls /proc/${pid}; cat /proc/${pid}/environ /proc/${pid}/mem`),
    /^(.*No such file or directory\n?)+$/,
  )
  t.equal(await inside('intruder', 'for p in /proc/[0-9]*; do stat -c %u $p; done | sort -u'), await inside('intruder', 'id -u'))
  t.equal(await sh('systemctl show -P MainPID patchbay'), pid)
  t.notMatch(await sh('ss -ltn'), ':9229')
  t.notMatch(await inside('intruder', 'env; cat /proc/self/environ'), /CREDENTIALS|TELEGRAM|NOTIFY|PATCHBAY_(DATA|CONFIG|NOTIFY)/)
  t.match(await inside('intruder', 'ls -l /proc/self/fd'), /^(?!.*patchbay)/s)
})

void t.test('it sees none of Patchbay’s files, and writes nothing but its own temporary directory', async (t) => {
  t.match(await inside('intruder', 'ls /var/lib/patchbay; ls /var/lib/patchbay/confined'), /^confined\nintruder$/)
  for (const path of [
    '/etc/patchbay',
    '/etc/credstore',
    '/var/lib/patchbay/sessions.json',
    '/var/lib/patchbay/control',
    '/var/backups',
    '/home',
    '/root',
    '/boot',
  ])
    t.match(
      await inside('intruder', `ls ${path}/* 2>&1; cat ${path}`),
      /^((.*(Permission denied|No such file or directory|Is a directory))\n?)*$/,
      path,
    )
  const writable = 'find / -xdev -not -path "/proc/*" -writable -not -type l 2>/dev/null | grep -vE "^/(tmp|dev)(/|$)"'
  t.equal(await inside('intruder', `${writable} | head`), '')
  t.match(await inside('intruder', 'touch /tmp/mine && ls /tmp'), 'mine')
  t.equal(await sh('ls /tmp/mine 2>/dev/null || true'), '')
  t.match(await inside('intruder', 'head -c 200M /dev/zero >/tmp/full; rm /tmp/full'), 'No space left')
  t.match(
    await inside('intruder', 'echo changed >>/var/lib/patchbay/confined/intruder/package/index.js'),
    /Read-only file system|Permission denied/,
  )
})

void t.test('it reaches no socket and no device of the machine, and no network', async (t) => {
  t.equal(await inside('intruder', 'find /run -not -type d 2>/dev/null'), '')
  t.equal(await inside('intruder', 'find / -xdev -type s 2>/dev/null | grep -v ^/var/lib/patchbay/confined/intruder/'), '')
  t.equal(await inside('intruder', 'cut -d: -f1 /proc/net/dev | tail -n +3 | xargs'), 'lo')
  t.match(await inside('intruder', 'exec 3<>/dev/tcp/127.0.0.1/8080'), /./)
  for (const socket of [
    '/var/lib/patchbay/control/socket',
    '/run/patchbay-smart.socket',
    '/run/systemd/notify',
    '/run/systemd/private',
    '/run/dbus/system_bus_socket',
  ]) {
    t.equal(await sh(`test -S ${socket} && echo there`), 'there', socket)
    t.match(await inside('intruder', `nc -U ${socket} </dev/null`), 'No such file or directory', socket)
  }
  const abstract = await sh("awk '$8 ~ /^@/ { print substr($8, 2) }' /proc/net/unix | head -20")
  t.comment(`abstract sockets of the machine: ${abstract.replaceAll('\n', ' ')}`)
  t.equal(await inside('intruder', "awk '$8 ~ /^@/' /proc/net/unix"), '', 'nor a socket that is no file')
  t.equal(await inside('intruder', 'ls /dev | grep -E "nvme|sd|video|mem|kmsg"'), '')
  t.match(
    await inside(
      'intruder',
      'cat </dev/null >/var/lib/patchbay/confined/intruder/channel; nc -U /var/lib/patchbay/confined/intruder/channel </dev/null && echo through',
    ),
    /^(?!.*through)/s,
  )
})

void t.test('of the bus it has what it was granted, and nothing else', async (t) => {
  await dropIn('caller', { exec: ['bash'], dbus: ['org.freedesktop.hostname1'] })
  await enable('caller', 'exec:bash', 'dbus:org.freedesktop.hostname1')
  const busctl = (...words: string[]) =>
    inside(
      'caller',
      `busctl --address="$BUS" ${words.join(' ')}`.replace('$BUS', 'unix:path=/var/lib/patchbay/confined/caller/bus'),
    )
  t.match(
    await busctl('get-property org.freedesktop.hostname1 /org/freedesktop/hostname1 org.freedesktop.hostname1 Hostname'),
    /^s "/,
  )
  t.match(
    await busctl('call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager CanReboot'),
    /not (been )?(provided|found)|Access denied|AccessDenied|unknown/i,
  )
  t.match(
    await busctl(
      'call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StopUnit ss patchbay.service replace',
    ),
    /not (been )?(provided|found)|Access denied|AccessDenied|unknown/i,
  )
  t.equal(await sh('systemctl is-active patchbay'), 'active')
})

void t.test('with the network granted it has that, and still nothing else', async (t) => {
  await dropIn('talker', { exec: ['bash'], network: true })
  await enable('talker', 'exec:bash', 'network')
  t.equal(await sh('systemctl is-active patchbay-plugin-net@talker.service'), 'active')
  t.match(
    await inside(
      'talker',
      'exec 3<>/dev/tcp/127.0.0.1/8080 && printf "GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" >&3 && head -1 <&3',
    ),
    '200',
  )
  t.equal(await inside('talker', 'find /run -type s 2>/dev/null'), '')
})

void t.test('with a device granted it may open the kinds that the daemon may, and no others', async (t) => {
  await dropIn('watcher', { exec: ['bash'] }, { devices: ['/dev/zero'] })
  await enable('watcher', 'exec:bash', 'device:/dev/zero')
  t.equal(await sh('systemctl is-active patchbay-plugin-dev@watcher.service'), 'active')
  t.match(await inside('watcher', 'id -Gn'), /video/)
  for (const device of ['/dev/vda', '/dev/mem', '/dev/kmsg', '/dev/ttyS0'])
    t.match(await inside('watcher', `head -c 1 ${device}`), /Permission denied|Operation not permitted|No such file/, device)
  t.equal(await inside('watcher', 'find /run -type s 2>/dev/null'), '')
})

void t.test('with a store granted it keeps what it was told, whoever it runs as, and sees no other store', async (t) => {
  await sh('runuser -u patchbay -- mkdir -m 700 -p /var/lib/patchbay/store/other')
  await dropIn('keeper', { exec: ['bash'], store: true })
  t.match(await enable('keeper', 'exec:bash', 'store'), { containment: { level: 'contained' } })
  t.match(await owner.ask('keeper:count'), { success: true, times: 1 })
  t.equal(await inside('keeper', 'ls /var/lib/patchbay/store'), 'keeper')
  t.match(await inside('keeper', 'touch /var/lib/patchbay/mine'), /Read-only file system|Permission denied/)
  const store = '/var/lib/patchbay/store/keeper'
  t.equal(await sh(`stat -c %u ${store}/store.db-wal`), await inside('keeper', 'id -u'))

  await owner.ask('host:disable', { id: 'keeper' })
  await row('keeper', ({ state }) => state === 'disabled')
  // Another time systemd may give it another number.
  await sh(`chown 61999:61999 $(find ${store} -type f ! -user patchbay)`)
  await owner.ask('host:enable', { id: 'keeper' })
  await running('keeper')
  t.match(await owner.ask('keeper:count'), { success: true, times: 2 })

  await sh('patchbay backup /root/backup.tar.gz')
  t.match(await sh('tar -tzf /root/backup.tar.gz'), 'data/store/keeper/store.db')
  await sh('patchbay plugins remove keeper --data')
  t.equal(await sh('ls /var/lib/patchbay/store'), 'other')
  await sh('rmdir /var/lib/patchbay/store/other; rm /root/backup.tar.gz')
})

void t.test('the daemon can start these services and no others, and nobody else can', async (t) => {
  const asDaemon = (words: string) => machine.run(`runuser -u patchbay -- systemctl --no-ask-password ${words}`)
  // It starts it again by itself.
  t.equal((await asDaemon('stop patchbay-plugin@intruder.service')).code, 0)
  for (const words of [
    'restart cron.service',
    'stop dbus.service',
    'start patchbay-plugin@intruder.service',
    'set-property patchbay-plugin@intruder.service MemoryMax=1',
    'restart patchbay-smart@x.service',
  ])
    t.not((await asDaemon(words)).code, 0, words)
  t.not((await machine.run('runuser -u nobody -- systemctl --no-ask-password restart patchbay-plugin@intruder.service')).code, 0)
})

void t.test('its end is noticed, also when it hangs, and when the daemon ends it ends', async (t) => {
  const pidOf = () => inside('intruder', 'echo $PPID')
  // All at once they start late in here.
  for (const id of ['caller', 'talker', 'watcher']) await owner.ask('host:disable', { id })
  await running('intruder')
  const others = [await pidOf()]
  /** Resolves when a new process answers. */
  const again = async () => {
    for (;;) {
      await running('intruder')
      const pid = await pidOf().catch(() => others[0])
      if (pid !== undefined && !others.includes(pid)) return void others.push(pid)
    }
  }
  await sh('systemctl kill --signal=KILL patchbay-plugin@intruder.service')
  await again()
  t.match(await owner.ask('intruder:hang'), { success: false, code: /MODULE_FAILED|TIMEOUT/ })
  await again()
  t.match(await sh('journalctl -u patchbay -o cat --no-pager'), /did not answer for 5 s/)
  await sh('systemctl kill --signal=KILL patchbay.service')
  await again()
  await sh('systemctl stop patchbay')
  t.equal(await sh('systemctl list-units --no-legend --state=active,activating,deactivating "patchbay-plugin*"'), '')
})

void t.test('where there are no services for plugins, a row says what that means', async (t) => {
  const restart = async () => {
    const times: number[] = []
    for (let i = 0; i < 3; i++) {
      const begun = performance.now()
      t.match(await owner.ask('host:restart', { id: 'intruder' }), { success: true })
      await running('intruder')
      times.push(Math.round(performance.now() - begun))
    }
    return `${times.join(', ')} ms`
  }
  await sh('systemctl start patchbay', 400_000)
  t.match(await running('intruder'), { containment: { level: 'contained' } })
  t.comment(`stopped and started, as a service: ${await restart()}`)
  await sh(
    `printf '[Service]\\nUnsetEnvironment=PATCHBAY_CONFINED_DIR\\n' >/etc/systemd/system/patchbay.service.d/plain.conf
    systemctl daemon-reload && systemctl restart patchbay`,
    400_000,
  )
  t.match(await running('intruder'), { containment: { level: 'not contained' } })
  t.comment(`stopped and started, as a child of the daemon: ${await restart()}`)
})
