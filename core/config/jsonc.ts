import { createScanner, getNodeValue, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser'
import { quote } from './problem.ts'

const maxDepth = 32
const illegal: readonly unknown[] = ['__proto__', 'constructor', 'prototype']

/** Something wrong at an offset of a text. */
export interface Fault {
  readonly offset: number
  readonly message: string
}

/** Parses JSON with comments and trailing commas; never throws. There is no value where the syntax is wrong. */
export function parseJsonc(text: string): { value?: unknown; root?: Node; faults: Fault[] } {
  const deep = depthFault(text)
  if (deep) return { faults: [deep] }
  const errors: ParseError[] = []
  const root = parseTree(text, errors, { allowTrailingComma: true })
  if (root && errors.length === 0) return { value: structuredClone(getNodeValue(root)), root, faults: [...keyFaults(root)] }
  const words = (code: string) => code.replace(/\B[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return { faults: errors.map(({ error, offset }) => ({ offset, message: `${words(printParseErrorCode(error))} here` })) }
}

/** The offset of the key or item that a path leads to, or of the last one on the way that there is. */
export function offsetOf(root: Node, path: readonly string[]): number {
  let [node, offset]: [Node | undefined, number] = [root, root.offset]
  for (const segment of path) {
    const child: Node | undefined =
      node?.type === 'array' ? node.children?.[Number(segment)] : node?.children?.findLast((entry) => keyOf(entry) === segment)
    if (!child) break
    offset = child.offset
    node = child.type === 'property' ? child.children?.[1] : child
  }
  return offset
}

/** The parser recurses; this bounds how deep. */
function depthFault(text: string): Fault | undefined {
  const scanner = createScanner(text, true)
  for (let depth = 0; scanner.getPosition() < text.length; ) {
    scanner.scan()
    const offset = scanner.getTokenOffset()
    depth += { '{': 1, '[': 1, '}': -1, ']': -1 }[text[offset] ?? ''] ?? 0
    if (depth > maxDepth) return { offset, message: `more than ${maxDepth} levels of brackets; make it flatter` }
  }
  return undefined
}

function* keyFaults(node: Node): Generator<Fault> {
  const keys = new Set<unknown>()
  for (const child of node.children ?? []) {
    const key = keyOf(child)
    if (illegal.includes(key)) yield { offset: child.offset, message: `"${key}" is not a legal key; remove it` }
    if (keys.has(key)) yield { offset: child.offset, message: `${quote(String(key))} stands here twice; remove one` }
    if (child.type === 'property') keys.add(key)
    yield* keyFaults(child)
  }
}

function keyOf(entry: Node): unknown {
  return entry.type === 'property' ? entry.children?.[0]?.value : undefined
}
