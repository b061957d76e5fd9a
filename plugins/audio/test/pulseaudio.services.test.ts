import t from 'tap'
import { behaves } from './behaviour.ts'

void t.test('PulseAudio', (t) => behaves(t, 'PulseAudio'))
