// A plugin that does what it is told, whatever that is, and what tests of its process ask of the kernel.
import { readdirSync, readFileSync } from 'node:fs'
import type { Contract } from '../../../core/plugin/contract.ts'
import type { TestClient } from '../../../core/testing/host.ts'

const viewer = { role: 'viewer', timeoutMs: 60_000, rate: { max: 1000, windowMs: 1000 } } as const
export const contract: Contract = {
  id: 'own',
  commands: { 'own:pid': viewer, 'own:do': { ...viewer, payload: { type: 'string' } }, 'own:wait': viewer },
  events: { 'own:tick': { payload: { type: 'integer' } } },
}
/** For `writePackage`. */
export const body = `
  ctx.handle('own:pid', () => ({ pid: process.pid, environment: process.env }))
  ctx.handle('own:do', async (code) => ({ it: await Function('ctx', 'fs', 'load', 'return (async () => {' + code + '})()')(ctx, fs, (name) => import(name)) }))
  ctx.handle('own:wait', () => new Promise(() => {}))
  ctx.whileSubscribed((watch) => {
    const timer = setInterval(() => watch.publish('own:tick', 1), 5)
    return () => clearInterval(timer)
  })`

export const pidOf = async (client: TestClient) => (await client.ask('own:pid')).pid as number
export const isAlive = (pid: number) => readdirSync('/proc').includes(String(pid)) && !/^State:\s+[ZX]/m.test(statusOf(pid))
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1')
  } catch {
    return 'State:\tX'
  }
}
