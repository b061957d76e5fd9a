import type { Module } from '../wire/module.ts'
import { loadValidator, settingsCheck } from '../wire/validate.ts'
import { Misfit } from './running.ts'

/** A plugin's settings with their defaults. Rejects with a Misfit for wrong ones, and for schemas that are none. */
export async function judge(module: Module, given: object, { builtin }: { readonly builtin: boolean }): Promise<object> {
  await loadValidator()
  try {
    // The tests have compiled the schemas of what comes with Patchbay; not doing it again makes the start quicker.
    if (!builtin) module.compile()
    const { settings, problem } = settingsCheck(module.contract.settings, given)
    if (problem === undefined) return settings
    throw new Misfit(`Its settings in plugins.json do not fit: ${problem}.`)
  } catch (error) {
    if (error instanceof Misfit) throw error
    throw new Misfit(`Its contract has a schema that is none: ${(error as Error).message}.`)
  }
}
