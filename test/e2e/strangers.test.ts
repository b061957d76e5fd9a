import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Place } from '../cli/daemon.ts'
import { listen, logIn, placeFor, until } from './app.ts'

t.setTimeout(300_000)

/** Servers of TCP and UDP that keep the first line of whoever comes. */
async function ears(t: Test) {
  const heard: string[] = []
  const tcp = createServer((socket) => {
    const at = heard.push('connected') - 1
    socket.on('data', (data) => (heard[at] = String(data).split('\r\n')[0] ?? ''))
    socket.on('error', () => {})
  })
  const udp = createSocket('udp4')
  udp.on('message', () => heard.push('UDP'))
  tcp.listen(0, '127.0.0.1')
  udp.bind(0, '127.0.0.1')
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')])
  t.teardown(() => {
    tcp.close()
    udp.close()
  })
  const [http, stun] = [tcp.address() as AddressInfo, udp.address()]
  return { heard, port: http.port, http: `http://127.0.0.1:${http.port}`, stun: `127.0.0.1:${stun.port}`, stunPort: stun.port }
}

/** A third party's plugin with this panel. */
async function addWithPanel(place: Place, id: string, contract: object, start: string, panel: string): Promise<void> {
  const dir = await place.addPlugin(id, contract, start)
  await mkdir(join(dir, 'panel'), { recursive: true })
  await writeFile(join(dir, 'panel/index.js'), panel)
  const manifest = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as { patchbay: object }
  await writeFile(
    join(dir, 'package.json'),
    JSON.stringify({ ...manifest, patchbay: { ...manifest.patchbay, panel: './panel' } }),
  )
}

void t.test("a stranger's panel reaches its own module and nothing else: servers that listen hear not a word", async (t) => {
  const { heard, port, http, stun, stunPort } = await ears(t)
  const place = await placeFor(t, ['panel', 'system'])
  const { page, url } = await logIn(t, place)
  const contract = {
    commands: { 'spy:report': { role: 'operator', payload: { type: 'object' } } },
    events: { 'spy:targets': { retained: true }, 'spy:tried': { retained: true } },
  }
  const start = `ctx.publish('spy:targets', ${JSON.stringify({ http, stun, host: url })})
    ctx.handle('spy:report', (tried) => ctx.publish('spy:tried', tried))`
  await addWithPanel(
    place,
    'spy',
    contract,
    start,
    (await readFile(new URL('spy.js', import.meta.url), 'utf8')).replace('STUN', stun),
  )
  const reports: unknown[] = []
  page.on('websocket', (socket) =>
    socket.on('framereceived', ({ payload }) => {
      const found = /\["spy:tried",(.*)\]$/s.exec(String(payload))?.[1]
      if (found) reports.push(JSON.parse(found))
    }),
  )
  await page.reload()
  await page.getByRole('navigation').getByRole('link', { name: 'Spy' }).click()
  await page.getByRole('button', { name: 'Switch the module on' }).click()
  await page.getByText('Panel of spy, by its own author').waitFor()
  await page.frameLocator('iframe').getByText('The panel of a spy.').waitFor()
  await until(async () => reports.length > 0)
  await page.getByText('This panel tried to go somewhere else and was closed.').waitFor()
  t.matchOnly(reports[0], {
    fetch: /^refused/,
    'fetch of the host': /^refused/,
    XMLHttpRequest: /^refused/,
    WebSocket: /^refused/,
    EventSource: /^refused/,
    // The browser answers before it has asked the policy.
    sendBeacon: /^/,
    image: /^refused/,
    'style sheet': /^refused/,
    script: /^refused/,
    'inline script': /^refused/,
    import: /^refused/,
    eval: /^refused/,
    worker: /^refused/,
    frame: /^/,
    prefetch: /^refused/,
    'font in CSS': /^/,
    form: /^/,
    popup: /^refused/,
    ping: /^/,
    WebRTC: /^refused/,
    'WebRTC of a frame': /^refused/,
    'itself in a frame': /^refused/,
    'itself by markup': /^refused/,
    'itself by attribute': /^refused/,
    'the page around': /^refused/,
    'the page around, moved': /^refused/,
    storage: /^refused/,
    cookies: /^refused/,
    database: /^refused/,
    'commands of others': 'UNKNOWN_COMMAND,UNKNOWN_COMMAND,UNKNOWN_COMMAND',
    'events of others': '0',
  })
  // Chromium opens a connection before it asks the policy whether a frame may go there, and then says nothing on it.
  t.strictSame(
    heard.filter((line) => line !== 'connected'),
    [],
    'nothing was said to anybody',
  )
  // The servers do hear: whoever says something.
  const known = connect(port, '127.0.0.1', () => known.end('GET /test\r\n\r\n'))
  const datagrams = createSocket('udp4')
  datagrams.send('x', stunPort, '127.0.0.1')
  await until(async () => heard.includes('GET /test') && heard.includes('UDP'))
  datagrams.close()
  t.equal(new URL(page.url()).origin, url, 'the app stands where it stood')
})

void t.test(
  "a stranger's panel shows its module's events and gives its commands; what is for owners is asked first",
  async (t) => {
    const place = await placeFor(t, ['panel'])
    const { page } = await logIn(t, place)
    const complaints = listen(page)
    const contract = {
      commands: {
        'bell:ring': { role: 'operator', payload: { type: 'integer' } },
        'bell:melt': { role: 'owner', description: 'Melts it.' },
      },
      events: { 'bell:rung': { retained: true, payload: { type: 'integer' } } },
    }
    const start = `let rung = 0
    ctx.publish('bell:rung', rung)
    ctx.handle('bell:ring', (times) => { ctx.publish('bell:rung', (rung += times)) })
    ctx.handle('bell:melt', () => {})`
    const panel = `patchbay.panel((element, module) => {
    const [count, ring, melt, said] = ['output', 'button', 'button', 'p'].map((tag) => element.appendChild(document.createElement(tag)))
    ring.textContent = 'Ring'
    melt.textContent = 'Melt'
    module.on('bell:rung', (rung) => { count.textContent = module.id + ' rung ' + rung + ' times' })
    ring.onclick = () => module.send('bell:ring', 3)
    melt.onclick = async () => { const answer = await module.send('bell:melt'); said.textContent = answer.code ?? 'molten' }
  })`
    await addWithPanel(place, 'bell', contract, start, panel)
    await page.getByRole('navigation').getByRole('link', { name: 'Bell' }).click()
    await page.getByRole('button', { name: 'Switch the module on' }).click()
    const frame = page.frameLocator('iframe')
    await frame.getByText('bell rung 0 times').waitFor()
    await frame.getByRole('button', { name: 'Ring' }).click()
    await frame.getByText('bell rung 3 times').waitFor()
    await frame.getByRole('button', { name: 'Melt' }).click()
    await page.getByRole('dialog').getByText('Melts it.').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
    await frame.getByText('FORBIDDEN').waitFor()
    await frame.getByRole('button', { name: 'Melt' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Melt' }).click()
    await frame.getByText('molten').waitFor()
    t.strictSame(complaints, [])
  },
)
