import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const manifest = {
  name: 'patchbay-lamp',
  version: '1.2.3',
  type: 'module',
  main: './index.js',
  patchbay: { api: 1, contract: './contract.json' },
}

export const contractOf = (id: string) => ({
  id,
  description: 'A lamp.',
  commands: { [`${id}:set`]: { payload: { type: 'object', properties: { on: { type: 'boolean' } } }, role: 'operator' } },
  events: { [`${id}:state`]: { payload: { type: 'boolean' }, retained: true } },
})

/** Writes a package with these files, which are made JSON if they are no text, in place of the usual ones; null leaves one out. */
export function writePackage(dir: string, id = 'lamp', files: Record<string, unknown> = {}): string {
  mkdirSync(dir, { recursive: true })
  const all = { 'package.json': manifest, 'contract.json': contractOf(id), 'index.js': 'export default {}', ...files }
  for (const [name, content] of Object.entries(all))
    if (content !== null) writeFileSync(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content))
  return dir
}
