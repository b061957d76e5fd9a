import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { FromFrame, ToFrame } from './channel.ts'
import { ask } from './confirm.tsx'
import type { Answer, CommandContract } from './contract.ts'
import { title } from './fields.ts'
import type { Module } from './module.ts'
import { language, t } from './text.ts'

const limits = { unanswered: 16, messages: 100, perMs: 1000, height: 4000 }
const refusal = (code: string, error: string): Answer => ({ success: false, code, error })

/**
 * A third party's panel, in a frame that has an origin of its own and no way out but this channel: the events and commands of its own
 * module. The frame stands under the plugin's name, so that it cannot pass for the app.
 */
export function StrangersPanel({ module, path }: { module: Module; path: string }) {
  const frame = useRef<HTMLIFrameElement>(null)
  const loads = useRef(0)
  const height = useSignal(160)
  const problem = useSignal('')
  const close = useRef<() => void>(() => undefined)
  useEffect(() => () => close.current(), [])
  const loaded = () => {
    // It was loaded once, by us. Whatever comes after that is a page that it went to.
    if (loads.current++ > 0) {
      problem.value = t('stranger.left')
      close.current()
      return
    }
    const { port1, port2 } = new MessageChannel()
    close.current = serve(module, port1, {
      height: (px) => (height.value = Math.min(Math.max(px, 40), limits.height)),
      flooded: () => (problem.value = t('stranger.flooded')),
    })
    // An opaque origin has no name to send it to; the window is the frame's own, and was loaded a moment ago.
    frame.current?.contentWindow?.postMessage({ patchbay: 1, id: module.id, language: language.value }, '*', [port2])
  }
  const heading = t('stranger.title', { id: module.id })
  return (
    <section class="stranger" aria-label={heading}>
      <p class="stranger-head">{heading}</p>
      {problem.value ? (
        <p class="bad">{problem.value}</p>
      ) : (
        <iframe
          ref={frame}
          title={heading}
          src={path}
          sandbox="allow-scripts"
          allow=""
          referrerpolicy="no-referrer"
          height={height.value}
          onLoad={loaded}
        />
      )}
    </section>
  )
}

/** Answers a frame. Returns what ends that. */
function serve(module: Module, port: MessagePort, told: { height(px: number): void; flooded(): void }): () => void {
  const releases = new Map<string, () => void>()
  let [unanswered, messages, since] = [0, 0, Date.now()]
  const tell = (message: ToFrame) => port.postMessage(message)
  const close = () => {
    port.close()
    for (const release of releases.values()) release()
    releases.clear()
  }
  const command = async (message: Extract<FromFrame, { is: 'command' }>) => {
    const known = module.contract.peek().commands.find(({ name }) => name === message.command)
    unanswered++
    tell({ is: 'answer', number: message.number, answer: await give(module, known, message.payload, unanswered) })
    unanswered--
  }
  port.onmessage = ({ data }: MessageEvent<FromFrame>) => {
    if (Date.now() - since > limits.perMs) [messages, since] = [0, Date.now()]
    if (++messages > limits.messages) {
      close()
      told.flooded()
      return
    }
    if (data?.is === 'command') void command(data)
    else if (data?.is === 'height' && typeof data.px === 'number') told.height(data.px)
    else if (
      data?.is === 'listen' &&
      !releases.has(data.event) &&
      module.contract.peek().events.some(({ name }) => name === data.event)
    )
      releases.set(
        data.event,
        module.on(data.event, (value, at) => tell({ is: 'event', event: data.event, value, at })),
      )
  }
  return close
}

async function give(module: Module, command: CommandContract | undefined, payload: unknown, unanswered: number): Promise<Answer> {
  if (!command) return refusal('UNKNOWN_COMMAND', 'A panel may give the commands of its own module only.')
  if (unanswered > limits.unanswered) return refusal('RATE_LIMITED', 'Too many commands are unanswered.')
  const { name, description, role } = command
  // What is kept for owners is not given behind their back.
  const question = { title: title(name), text: description ?? t('confirm.owner'), yes: title(name) }
  if (role === 'owner' && !(await ask(question))) return refusal('FORBIDDEN', 'It was declined.')
  return module.send(name, payload)
}
