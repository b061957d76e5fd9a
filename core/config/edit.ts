import { createScanner, findNodeAtLocation, type Node, parseTree } from 'jsonc-parser'

/**
 * Sets (or with `undefined` removes) one value in valid JSON with comments. All other text stays: jsonc-parser's own
 * `modify` reformats neighbours, lets a new entry take the comment beside the last one, and drops those around a removed one.
 */
export function edit(text: string, path: readonly string[], value: unknown): string {
  const root = parseTree(text)
  const find = (path: readonly string[]) => root && findNodeAtLocation(root, [...path])
  const node = find(path)
  if (value === undefined) return node?.parent ? remove(text, node.parent) : text
  if (node) return splice(text, node.offset, endOf(node), inOneLine(value))
  const depth = path.findLastIndex((_key, depth) => find(path.slice(0, depth)))
  const parent = find(path.slice(0, depth))
  const content = path.slice(depth + 1).reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)
  return parent ? insert(text, parent, `${JSON.stringify(path[depth])}: ${inOneLine(content)}`) : text
}

/** Puts an entry on a line of its own behind all that the object holds. */
function insert(text: string, parent: Node, entry: string): string {
  const close = endOf(parent) - 1
  const last = parent.children?.at(-1)
  const outer = indentAt(text, parent.offset)
  const inner = last ? indentAt(text, last.offset) : outer + (/^[ \t]+/m.exec(text)?.[0] ?? '  ')
  const longer = splice(text, text.slice(0, close).trimEnd().length, close, `\n${inner}${entry}\n${outer}`)
  return last && commaAfter(text, last) === undefined ? splice(longer, endOf(last), endOf(last), ',') : longer
}

/** Takes an entry away with its comma and, if nothing follows on it, its line. */
function remove(text: string, entry: Node): string {
  const comma = commaAfter(text, entry)
  const without = comma === undefined ? text : splice(text, comma, comma + 1, '')
  const rest = /^[ \t]*\n[ \t]*/.exec(without.slice(endOf(entry)))?.[0].length ?? 0
  return splice(without, entry.offset, endOf(entry) + rest, '')
}

function commaAfter(text: string, node: Node): number | undefined {
  const scanner = createScanner(text, true)
  scanner.setPosition(endOf(node))
  scanner.scan()
  return text[scanner.getTokenOffset()] === ',' ? scanner.getTokenOffset() : undefined
}

const endOf = (node: Node) => node.offset + node.length
const splice = (text: string, from: number, to: number, content: string) => text.slice(0, from) + content + text.slice(to)
const indentAt = (text: string, offset: number) => /^[ \t]*/.exec(text.slice(text.lastIndexOf('\n', offset) + 1))?.[0] ?? ''
const inOneLine = (value: unknown) => JSON.stringify(value, null, 1).replace(/\n\s*/g, ' ')
