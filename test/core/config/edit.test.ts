import fc from 'fast-check'
import { parse } from 'jsonc-parser'
import t from 'tap'
import { edit } from '../../../core/config/edit.ts'

const text = `// Who may enter.
{
\t"users": {
\t\t// The family.
\t\t"1": "owner", // Anna
\t\t"2": ["viewer", "guest"] // Bob
\t},
\t"roles": {
\t\t/* the sofa */
\t\t"guest": ["audio:*"],
\t},
}
`

void t.test('a value is replaced where it stands', async (t) => {
  t.equal(edit(text, ['users', '1'], 'viewer'), text.replace('"owner"', '"viewer"'))
})

void t.test(
  'a new entry comes last, on a line of its own, indented like its neighbours; comments stay beside what they are about',
  async (t) => {
    t.equal(
      edit(text, ['users', '3'], ['owner', 'guest']),
      text.replace('] // Bob\n', '], // Bob\n\t\t"3": [ "owner", "guest" ]\n'),
    )
    t.equal(edit(text, ['roles', 'kids'], []), text.replace(':*"],\n', ':*"],\n\t\t"kids": []\n'))
  },
)

void t.test('a removed entry takes its line and comma along and no comment', async (t) => {
  t.equal(edit(text, ['users', '1'], undefined), text.replace('"1": "owner", //', ' //'))
  t.equal(edit(text, ['users', '2'], undefined), text.replace('["viewer", "guest"] //', ' //').replace('"2": ', ''))
  t.equal(edit(text, ['roles', 'guest'], undefined), text.replace('"guest": ["audio:*"],\n\t', ''))
})

void t.test('removing what is not there changes nothing', async (t) => {
  t.equal(edit(text, ['users', '9'], undefined), text)
  t.equal(edit(text, ['users', '9', 'deep'], undefined), text)
})

void t.test('objects that are missing on the way are made', async (t) => {
  t.equal(edit('{}', ['plugins', 'wifi', 'enabled'], true), '{\n  "plugins": { "wifi": { "enabled": true } }\n}')
  t.equal(edit('{\n    "plugins": {}\n}', ['plugins', 'wifi'], {}), '{\n    "plugins": {\n        "wifi": {}\n    }\n}')
})

void t.test('whatever the layout, the text then says exactly what was asked', async (t) => {
  const space = fc.constantFrom('', ' ', '\n', '\r\n  ', ' /* , } */ ', ' // , "x": 1 }\n', '\t')
  const member = fc.tuple(space, fc.constantFrom('1', '[1, 2]', '{ "a": 1, }', '"}"'), space, space)
  const layout = fc.tuple(space, fc.array(member, { maxLength: 4 }), fc.boolean(), space)
  const key = fc.constantFrom('k0', 'k1', 'k3', 'new')
  const value = fc.constantFrom<unknown>(undefined, 5, ['x', 'y'], { enabled: true }, 'a\n"b')
  fc.assert(
    fc.property(layout, key, value, ([open, members, trailing, close], key, value) => {
      const entries = members.map(([before, json, colon, after], index) => `${before}"k${index}":${colon}${json}${after}`)
      const object = `{${open}${entries.join(',')}${trailing && entries.length > 0 ? ',' : ''}${close}}`
      const expected: Record<string, unknown> = parse(object, [], { allowTrailingComma: true })
      if (value === undefined) delete expected[key]
      else expected[key] = value
      const errors: never[] = []
      const result = edit(`{"o":${object}}`, ['o', key], value)
      const found: unknown = parse(result, errors, { allowTrailingComma: true })
      return errors.length === 0 && JSON.stringify(found) === JSON.stringify({ o: expected })
    }),
    { numRuns: 2000 },
  )
  t.pass('2,000 layouts')
})
