// The texts of the app and of every plugin's panel, as one module for each language: plugins/panel/app/messages/<language>.json, and
// plugins/*/panel/messages/<language>.json with the plugin's id before each key.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exists, root } from '../checks/sources.mjs'

const name = 'virtual:messages'
const of = (directory) => join(root, 'plugins', directory, 'messages')

export function messages() {
  return {
    name: 'messages',
    resolveId: (id) => (id.startsWith(name) ? `\0${id}` : undefined),
    async load(id) {
      if (!id.startsWith(`\0${name}`)) return undefined
      const language = id.slice(name.length + 2)
      if (language) return `export default ${JSON.stringify(await texts(language))}`
      const rows = (await languages()).map((code) => `${JSON.stringify(code)}: () => import('${name}/${code}')`)
      return `export const languages = { ${rows.join(', ')} }`
    },
  }
}

/** The languages of the app itself. */
async function languages() {
  return (await readdir(of('panel/app'))).map((file) => file.replace('.json', '')).sort()
}

/** Everything that is said in a language, by key. */
async function texts(language) {
  const all = await readTexts(join(of('panel/app'), `${language}.json`))
  for (const folder of (await readdir(join(root, 'plugins'))).sort()) {
    const file = join(of(`${folder}/panel`), `${language}.json`)
    if (await exists(file)) for (const [key, text] of Object.entries(await readTexts(file))) all[`${folder}.${key}`] = text
  }
  return all
}

const readTexts = async (file) => JSON.parse(await readFile(file, 'utf8'))
