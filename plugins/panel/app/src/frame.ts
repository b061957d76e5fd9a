// Runs first in the page of a third party's panel, and is all that it has of the app: `patchbay.panel((element, module) => …)`. The
// `module` is what panels of Patchbay's own see too, over a channel that leads to the app and knows this one module.
import type { FromFrame, ToFrame } from './channel.ts'
import type { Answer } from './contract.ts'

type Mount = (element: HTMLElement, module: object) => unknown

// What the page's policy cannot refuse in every browser. Others realms of this page have it still; see the README.
for (const name of Object.getOwnPropertyNames(globalThis))
  if (/^(webkit)?RTC|^WebTransport/.test(name)) Reflect.deleteProperty(globalThis, name)

const listeners = new Map<string, Set<(value: unknown, at: number) => void>>()
const latest = new Map<string, { value: unknown; at: number }>()
const answers = new Map<number, (answer: Answer) => void>()
let count = 0

const connected = new Promise<{ port: MessagePort; id: string; language: string }>((resolve) => {
  window.addEventListener('message', (event) => {
    const [port] = event.ports
    if (event.source !== parent || !port || event.data?.patchbay !== 1) return
    port.onmessage = ({ data }: MessageEvent<ToFrame>) => hear(data)
    resolve({ port, id: event.data.id, language: event.data.language })
  })
})

function hear(message: ToFrame): void {
  if (message.is === 'event') {
    const { event, value, at } = message
    latest.set(event, { value, at })
    for (const listener of listeners.get(event) ?? []) listener(value, at)
  } else {
    answers.get(message.number)?.(message.answer)
    answers.delete(message.number)
  }
}

async function show(mount: Mount): Promise<void> {
  const { port, id, language } = await connected
  const tell = (message: FromFrame) => port.postMessage(message)
  const module = {
    id,
    language,
    send: (command: string, payload?: unknown) =>
      new Promise<Answer>((resolve) => {
        answers.set(++count, resolve)
        tell({ is: 'command', number: count, command, payload })
      }),
    on(event: string, callback: (value: unknown, at: number) => void): () => void {
      const all = listeners.get(event) ?? new Set()
      listeners.set(event, all.add(callback))
      tell({ is: 'listen', event })
      const known = latest.get(event)
      if (known) callback(known.value, known.at)
      return () => void all.delete(callback)
    },
  }
  const element = document.getElementById('panel') as HTMLElement
  new ResizeObserver(() =>
    tell({ is: 'height', px: Math.ceil(document.documentElement.getBoundingClientRect().height) }),
  ).observe(document.documentElement)
  mount(element, module)
}

Object.defineProperty(globalThis, 'patchbay', { value: Object.freeze({ panel: (mount: Mount) => void show(mount) }) })
