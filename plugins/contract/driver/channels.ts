import { type CommandEntry, type EventEntry, type NamespaceContract, policyOf } from './groups.ts'
import { embed, withSuccess } from './schema.ts'

interface Operation {
  readonly id: string
  readonly operation: object
  readonly messages: ReadonlyArray<readonly [string, object]>
}

/** Namespaces as channels, commands and events as operations on them. */
export function channelsAndOperations(namespaces: readonly NamespaceContract[]): { channels: object; operations: object } {
  const channels: Array<[string, object]> = []
  const operations: Array<[string, object]> = []
  for (const { namespace, policy, modules, commands, events } of namespaces) {
    const channel = channelId(namespace)
    const names = new Set(commands.map(({ name }) => name))
    const all = [
      ...commands.map((entry) => command(channel, entry)),
      ...events.map((entry) => event(channel, entry, names.has(entry.name) ? `${entry.name}.event` : entry.name)),
    ]
    const messages = Object.fromEntries(all.flatMap((one) => one.messages))
    const ids = [...new Set(modules.map(({ id }) => id))]
    const description = `The Socket.IO namespace ${namespace}, with the modules ${ids.join(', ')}.`
    channels.push([channel, { address: namespace, description, 'x-patchbay-policy': policy, messages }])
    operations.push(...all.map(({ id, operation }): [string, object] => [id, operation]))
  }
  return { channels: Object.fromEntries(channels), operations: Object.fromEntries(operations) }
}

/** Keys of a document hold no slash; namespaces no dot. */
function channelId(namespace: string): string {
  return namespace === '/' ? 'main' : namespace.replaceAll('/', '.')
}

function command(channel: string, entry: CommandEntry): Operation {
  const { name, mounted, definition } = entry
  const { role, roles, rate, timeoutMs, inFlight } = policyOf(entry)
  const ack = `${name}.ack`
  const payload = definition.payload && embed(definition.payload, pointer(channel, name, 'payload'))
  const success = withSuccess(embed(definition.result ?? {}, pointer(channel, ack, 'payload/oneOf/0')))
  const answers = { oneOf: [success, { $ref: '#/components/schemas/failure' }] }
  return {
    id: operationId(channel, name),
    operation: {
      action: 'receive',
      ...described(entry),
      channel: { $ref: `#/channels/${channel}` },
      messages: [{ $ref: pointerOf(channel, name) }],
      reply: { channel: { $ref: `#/channels/${channel}` }, messages: [{ $ref: pointerOf(channel, ack) }] },
      ...(mounted && { 'x-patchbay-module': mounted.id }),
      ...(role !== undefined && { 'x-patchbay-role': role }),
      ...(roles && { 'x-patchbay-roles': roles }),
      'x-patchbay-rate': rate,
      'x-patchbay-timeout-ms': timeoutMs,
      'x-patchbay-in-flight': inFlight,
    },
    messages: [
      [name, { name, title: name, ...(payload !== undefined && { payload }) }],
      [ack, { name, title: `Answer to ${name}`, payload: answers }],
    ],
  }
}

function event(channel: string, entry: EventEntry, key: string): Operation {
  const { name, mounted, definition } = entry
  const payload = definition.payload && embed(definition.payload, pointer(channel, key, 'payload'))
  return {
    id: operationId(channel, key),
    operation: {
      action: 'send',
      ...described(entry),
      channel: { $ref: `#/channels/${channel}` },
      messages: [{ $ref: pointerOf(channel, key) }],
      ...(mounted && { 'x-patchbay-module': mounted.id }),
      'x-patchbay-retained': definition.retained === true,
      'x-patchbay-to': definition.to ?? 'subscribers',
    },
    messages: [[key, { name, title: name, ...(payload !== undefined && { payload }) }]],
  }
}

function described({ name, mounted, definition }: CommandEntry | EventEntry): object {
  const { description } = definition
  return {
    title: name,
    ...(description !== undefined && { description }),
    tags: [{ name: mounted?.id ?? 'core' }],
  }
}

const operationId = (channel: string, key: string) => (channel === 'main' ? key : `${channel}.${key}`)
const pointer = (channel: string, key: string, rest: string) => `/channels/${channel}/messages/${key}/${rest}`
const pointerOf = (channel: string, key: string) => `#/channels/${channel}/messages/${key}`
