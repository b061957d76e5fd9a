import type { Installation } from './main.ts'

type Action = (args: string[], installation: Installation) => Promise<void>

const actions: Readonly<Record<string, () => Promise<Action>>> = {
  list: async () => (await import('./plugins/list.ts')).list,
  add: async () => (await import('./plugins/add.ts')).add,
  update: async () => (await import('./plugins/update.ts')).update,
  rollback: async () => (await import('./plugins/update.ts')).rollback,
  remove: async () => (await import('./plugins/remove.ts')).remove,
  enable: async () => (await import('./plugins/enable.ts')).enable,
  disable: async () => (await import('./plugins/enable.ts')).disable,
  restart: async () => (await import('./plugins/restart.ts')).restart,
}

/** Plugins: which there are; put there, taken away, switched on and off. No code of a plugin runs in here. */
export async function plugins(args: string[], installation: Installation): Promise<void> {
  const [name = 'list', ...rest] = args
  if (name.startsWith('-')) return (await import('./plugins/list.ts')).list(args, installation)
  const load = Object.hasOwn(actions, name) ? actions[name] : undefined
  if (!load) throw usage('[list] | add | update | rollback | remove | enable | disable | restart', installation)
  await (await load())(rest, installation)
}

/** How it is called, as an error. */
export function usage(text: string, { commandName }: Installation): Error {
  process.exitCode = 2
  return new Error(`Usage: ${commandName} plugins ${text}`)
}
