import t from 'tap'
import { conformance } from '../../../core/testing/index.ts'

void conformance(t, { dir: new URL('../../../dist/plugins/studio', import.meta.url).pathname, builtin: true })
