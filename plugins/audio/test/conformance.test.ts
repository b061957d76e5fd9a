import t from 'tap'
import { conformance } from '../../../core/testing/index.ts'
import { Session } from './server.ts'

await new Session(t).start('PulseAudio')
void conformance(t, { dir: new URL('../../../dist/plugins/audio', import.meta.url).pathname, builtin: true })
