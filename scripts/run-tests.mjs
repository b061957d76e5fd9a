// placeholder until the counting is in: runs tap
import { spawnSync } from 'node:child_process'
process.exit(spawnSync('npx', ['tap', ...process.argv.slice(2)], { stdio: 'inherit' }).status)
