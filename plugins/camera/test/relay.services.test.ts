// Over a real TURN server: coturn.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { startTestHost } from '../../../core/testing/host.ts'
import { Receiver } from './receiver.ts'

t.setTimeout(240_000)
const port = 20_000 + (process.pid % 20_000)
const settings = {
  ...{ simulated: true, camera: 'simulated', frameRate: 15, interfaces: ['lo'], localAddresses: true },
  ...{ relayOnly: true, turn: [`turn:127.0.0.1:${port}`], turnSecret: 'hush', turnSeconds: 600 },
}

/** Of this machine alone; what it says, line by line. */
async function startRelay(t: Test): Promise<{ said: readonly string[]; end(): Promise<void> }> {
  // A relay lets in whoever has an address that it may send to: it is another than that of the two.
  const local = ['--listening-ip=127.0.0.1', '--relay-ip=127.0.0.2', '--allow-loopback-peers', `--listening-port=${port}`]
  const plain = [
    '--no-cli',
    '--no-tls',
    '--no-dtls',
    '--no-tcp',
    '--no-tcp-relay',
    '--pidfile=/dev/null',
    `--userdb=${t.testdir()}/users`,
  ]
  const users = ['--realm=patchbay', '--use-auth-secret', `--static-auth-secret=${settings.turnSecret}`]
  const relay = spawn('stdbuf', ['-oL', 'turnserver', '-n', '-v', '--log-file=stdout', ...local, ...plain, ...users], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(relay, 'exit')
  const end = async () => {
    relay.kill('SIGKILL')
    await ended
  }
  t.teardown(end)
  const said: string[] = []
  const lines = createInterface({ input: relay.stdout }).on('line', (line) => void said.push(line))
  const signal = AbortSignal.timeout(30_000)
  while (!said.some((line) => line.includes(`listener opened on: 127.0.0.1:${port}`))) await once(lines, 'line', { signal })
  return { said, end }
}

async function startReceiver(t: Test): Promise<{ receiver: Receiver; failed: Promise<unknown>; log: readonly string[] }> {
  const host = await startTestHost({ builtins: ['camera'], settings: { camera: settings } })
  t.teardown(() => host.stop())
  t.match(await host.reached('camera', 'running', 'failed', 'unavailable'), { state: 'running' })
  const client = await host.client('operator', 501)
  await client.ask('module:subscribe', { module: 'camera' })
  const failed = new Promise((resolve) => client.socket.once('camera:error', resolve))
  return { receiver: new Receiver(t, client, { relayed: true }), failed, log: host.log }
}

void t.test('where the relay alone may be used, the picture comes over it, and no other address is told', async (t) => {
  const { said, end } = await startRelay(t)
  const { receiver, failed, log } = await startReceiver(t)
  t.match(await receiver.start(), { success: true })
  await receiver.more(50)
  t.ok(receiver.candidates.length > 0)
  for (const candidate of receiver.candidates) t.match(candidate, / typ relay raddr 0\.0\.0\.0 rport 9$/)
  t.notMatch(receiver.offers[0]?.sdp, /candidate|^c=IN IP4 (?!0\.0\.0\.0)/m)
  const users = new Set(said.flatMap((line) => /user <(\d+):(\w+)>: .*ALLOCATE processed, success/.exec(line)?.[2] ?? []))
  t.strictSame([...users].sort(), ['patchbay', 'telegram_501'], 'each with a password of its own')
  t.notMatch(JSON.stringify(log), 'hush')

  await end()
  t.match(await failed, { code: 'CAMERA_CONNECTION_LOST' }, 'there is no other way')
})

void t.test('what libdatachannel leaves running here, where it is the viewer, is not waited for', async (t) => {
  setTimeout(() => process.exit(), 2000).unref()
  t.pass()
})
