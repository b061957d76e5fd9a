import { Ajv } from 'ajv'
import fc from 'fast-check'
import t from 'tap'
import { checkContract, loadContractCheck } from '../../../core/lifecycle/contract-check.ts'

await loadContractCheck()
const check = (schema: object) => checkContract({ id: 'lamp', events: { 'lamp:x': { payload: schema } } }, { builtin: false })

void t.test('the patterns that contracts need are accepted', async (t) => {
  const good = [
    '^([0-9A-F]{2}:){5}[0-9A-F]{2}$',
    '^(\\d{1,3}\\.){3}\\d{1,3}$',
    '^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
    '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(?:\\.\\d{1,9})?Z$',
    '^[a-z][a-z0-9-]*$',
    '^-?(?:0|[1-9][0-9]*)$', // TypeBox's keys of a record by number
    '^.*$',
    '^(on|off|auto)$',
    '^(?<name>\\p{L}\\u{61}[)(|*]\\(\\))+$',
    '\\.jpg$',
    '',
  ]
  for (const pattern of good) {
    t.equal(check({ type: 'string', pattern }), undefined, pattern)
    t.equal(check({ patternProperties: { [pattern]: {} } }), undefined, pattern)
  }
  t.equal(check({ pattern: '^[^@]+@[^@]+$', maxLength: 190 }), undefined, 'two repeats on a short text')
  t.equal(check({ pattern: '[a-z]+', maxLength: 190 }), undefined, 'a repeat that starts anywhere in a short text')
})

void t.test('patterns that can take long are refused', async (t) => {
  const bad = [
    '^(a+)+$',
    '^(a*)*$',
    '^(a|a)*$',
    '^(a|b|ab)*c$',
    '^([a-z]+-?)+$',
    '^(a?){30}a{30}$',
    '^(?:a?b?){1,40}$',
    '^a*a*b$',
    '^[^@]+@[^@]+$',
    'a+$',
    'x|^a+$',
    '^a|b+$',
    '^a{0,300}a{0,300}$',
    '^(a{2,})+?$',
    '^(?=a)a$',
    '^(?!a)b$',
    '(?<=a)b',
    '(?<!a)b',
    '^(a)\\1$',
    '^(?<x>a)\\k<x>$',
    '^(?:((a)\\2{0})(a|a)*)$',
    '^[)](a|a)*[(]$',
    '^\\((a|a)*$',
  ]
  for (const pattern of bad) {
    t.match(check({ pattern }), /payload\/pattern must be a pattern that never takes long/, pattern)
    t.match(check({ patternProperties: { [pattern]: {} } }), /patternProperties\/.*never takes long/, pattern)
  }
  t.match(check({ pattern: '^[^@]+@[^@]+$', maxLength: 1000 }), 'never takes long')
})

void t.test('what is no regular expression is refused', async (t) => {
  for (const pattern of ['(', '[', 'a{2,1}', '\\', '\\p{Nope}', '*', ']'])
    t.match(check({ pattern }), 'valid with the flag u', pattern)
  for (const pattern of [1, null, {}, 'x'.repeat(1001)]) t.match(check({ pattern }), 'of at most 1,000 characters')
})

void t.test('an accepted pattern is quick on texts made to be slow', async (t) => {
  const atom = fc.constantFrom('a', '[ab]', '.', '\\w', 'b', '(a|b)', '(a)', '(?:ab?)')
  const quantifier = fc.constantFrom('', '', '*', '+', '?', '{2}', '{0,3}', '{1,}', '*?', '{20}')
  const part = fc.tuple(atom, quantifier).map((pair) => pair.join(''))
  const group = fc.tuple(fc.array(part, { minLength: 1, maxLength: 3 }), fc.constantFrom('', '|'), quantifier)
  const pattern = fc.tuple(
    fc.constantFrom('^', '^', ''),
    fc.array(
      fc.oneof(
        part,
        group.map(([parts, between, after]) => `(${parts.join(between)})${after}`),
      ),
      { minLength: 1, maxLength: 4 },
    ),
    fc.constantFrom('$', 'c', ''),
  )
  let accepted = 0
  let slowest = 0
  fc.assert(
    fc.property(pattern, fc.constantFrom(undefined, 30, 150), ([start, parts, end], maxLength) => {
      const schema = { type: 'string', pattern: start + parts.join('') + end, ...(maxLength && { maxLength }) }
      if (check(schema) !== undefined) return
      accepted++
      const validate = new Ajv().compile(schema)
      const length = maxLength ?? 10_000
      for (const text of ['a'.repeat(length), 'ab'.repeat(length / 2), `${'a'.repeat(length - 1)}!`, 'a'.repeat(100_000)]) {
        const began = performance.now()
        validate(text)
        slowest = Math.max(slowest, performance.now() - began)
      }
    }),
    { numRuns: 400 },
  )
  t.ok(accepted > 50, `${accepted} patterns were tried`)
  t.ok(slowest < 1000, `the slowest took ${Math.round(slowest)} ms`)
})
