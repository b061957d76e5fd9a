import t from 'tap'
import { behaves } from './behaviour.ts'

void t.test('PipeWire', (t) => behaves(t, 'PipeWire'))
