import { close, open } from 'node:inspector'
import t from 'tap'
import { ignoreInspectorSignal, refuseInspector } from '../../core/inspector.ts'

void t.test('an open inspector is refused, unless somebody asked for it or loaded code that may have', (t) => {
  refuseInspector([])
  open(0, '127.0.0.1')
  t.teardown(close)
  t.throws(() => refuseInspector(['--max-old-space-size=64', '']), {
    exitCode: 70,
    message: /A signal opened the inspector/,
  })
  for (const option of ['--inspect', '--inspect-brk=0', '--import=debugger.js', '--require', '-r']) refuseInspector([option])
  t.end()
})

void t.test('the signal finds a listener', (t) => {
  const before = process.listenerCount('SIGUSR1')
  ignoreInspectorSignal()
  t.equal(process.listenerCount('SIGUSR1'), before + 1)
  t.end()
})
