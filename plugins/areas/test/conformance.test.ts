import { fileURLToPath } from 'node:url'
import t from 'tap'
import { conformance } from '../../../core/testing/index.ts'

t.setTimeout(180_000)
await conformance(t, { dir: fileURLToPath(new URL('../../../dist/plugins/areas', import.meta.url)), builtin: true })
