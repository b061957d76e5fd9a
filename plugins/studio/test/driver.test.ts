import t from 'tap'
import { Board } from '../driver/board.ts'
import { fits, mayJoin } from '../driver/rooms.ts'

void t.test('a star in a pattern stands for any characters', async (t) => {
  const cases: Array<[string, string, boolean]> = [
    ['project-*', 'project-', true],
    ['project-*', 'project-1', true],
    ['project-*', 'a project-1', false],
    ['*', 'anything', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'a1b2c', true],
    ['a*b*c', 'a1c', false],
    ['a*b*bc', 'abc', false],
    ['exact', 'exact', true],
    ['exact', 'exactly', false],
  ]
  for (const [pattern, name, isFit] of cases) t.equal(fits(pattern, name), isFit, `${pattern} ${name}`)
})

void t.test('a room of a user is his alone, whatever is open and whatever his token names', async (t) => {
  t.ok(mayJoin('user:alice', [], { sub: 'alice' }))
  t.notOk(mayJoin('user:bob', ['*'], { sub: 'alice', rooms: ['*', 'user:bob'] }))
  t.ok(mayJoin('cutting', [], { sub: 'alice', rooms: ['cut*'] }))
  t.notOk(mayJoin('cutting', [], { sub: 'alice', rooms: 'cutting' }), 'the claim is a list')
  t.notOk(mayJoin('cutting', [], { sub: 'alice', rooms: [7, null] }))
})

void t.test('the board forgets what was not heard of for longest', async (t) => {
  const board = new Board(2)
  const progress = (percent: number) => ({ event: 'mediaProgress', progress: percent, stage: 's' }) as const
  t.equal(board.report('a', progress(1)), undefined)
  board.report('b', progress(1))
  board.report('a', progress(2))
  board.report('c', progress(1))
  t.match([board.stageOf('a'), board.stageOf('b'), board.stageOf('c')], [{ progress: 2 }, undefined, { progress: 1 }])
  t.equal(board.report('a', progress(1)), 'backwards')
  t.equal(board.report('a', { event: 'mediaError', error: 'e' }), undefined)
  t.equal(board.report('a', progress(9)), 'finished')
})
