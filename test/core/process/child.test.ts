import { Duplex, PassThrough } from 'node:stream'
import t from 'tap'
import { Channel, type Message } from '../../../core/process/channel.ts'
import { Child } from '../../../core/process/child.ts'
import { until } from '../wire/lab.ts'

/** A child in this process, and what it says. */
function setUp() {
  const [there, back] = [new PassThrough(), new PassThrough()]
  let ends = 0
  const child = new Child(Duplex.from({ readable: there, writable: back }), 'data:text/javascript,', () => void ends++)
  const said: Message[] = []
  const host = new Channel(Duplex.from({ readable: back, writable: there }), {
    onMessage: (message) => void said.push(message),
    onBroken: (reason) => {
      throw new Error(reason)
    },
  })
  const heard = async (kind: string) => {
    await until(() => said.some((message) => message[0] === kind))
    return said.find((message) => message[0] === kind)
  }
  return { child, host, heard, hangUp: () => there.destroy(), ends: () => ends }
}
const order = { mount: '/', entry: '/nowhere/index.js', builtin: false, given: {}, development: false, startMs: 1000 }

void t.test(
  'an exception that nobody caught is told, with a line in the log; when nobody listens any more it ends',
  async (t) => {
    const { child, heard, hangUp, ends } = setUp()
    child.fail('a text')
    t.same(await heard('fail'), ['fail', 'An exception nobody caught: a text'])
    t.match(await heard('log'), ['log', 'error', {}, 'an exception nobody caught'])
    hangUp()
    await until(() => ends() === 1)
  },
)

void t.test('a plugin that does not fit is told apart from one that fails', async (t) => {
  const settings = { type: 'object', properties: { n: { type: 'integer', default: 0 } }, additionalProperties: false }
  const misfit = setUp()
  misfit.host.send(['last'])
  misfit.host.send(['start', { ...order, contract: { id: 'lamp', settings }, given: { n: 'many' } }])
  t.match(await misfit.heard('misfit'), ['misfit', /n must be integer/])
  misfit.hangUp()
  const failing = setUp()
  failing.host.send(['start', { ...order, contract: { id: 'lamp' } }])
  t.match(await failing.heard('fail'), ['fail', /Cannot find module/])
  failing.hangUp()
})
