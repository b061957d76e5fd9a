import t from 'tap'
import { defineContract, definePlugin, Type } from '../../../core/plugin/index.ts'

const contract = defineContract({
  id: 'lab',
  commands: { 'lab:set': { payload: Type.Object({ on: Type.Boolean() }), result: Type.Object({ was: Type.Boolean() }) } },
  events: {
    'lab:state': { payload: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] } },
    'lab:told': { payload: Type.String(), to: 'addressed' },
  },
  errors: { LAB_STUCK: 'It is stuck.' },
})

void t.test('a contract and a plugin are what was written, and typed from their schemas', async (t) => {
  const start = () => undefined
  const plugin = definePlugin(contract, { start })
  t.equal(plugin.contract, contract)
  t.equal(plugin.start, start)

  definePlugin(contract, {
    start(ctx) {
      ctx.handle('lab:set', ({ on }) => {
        ctx.publish('lab:state', { on })
        return { was: !on }
      })
      ctx.send({ user: 'local:owner' }, 'lab:told', 'hello')
      // @ts-expect-error: a string is no payload of this event
      ctx.publish('lab:state', 'on')
      // @ts-expect-error: an addressed event needs somebody to go to
      ctx.publish('lab:told', 'hello')
      // @ts-expect-error: no such command
      ctx.handle('lab:get', () => ({}))
      // @ts-expect-error: the result lacks `was`
      ctx.handle('lab:set', () => ({}))
      // @ts-expect-error: no such code
      ctx.error('LAB_GONE')
      // @ts-expect-error: a capability that the contract does not name
      ctx.exec.run('ls', [])
    },
  })
})
