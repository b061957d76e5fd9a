import { startTestHost as start } from './host.ts'
import type { TestHost, TestHostOptions } from './types.ts'

/** What a plugin's tests import, as `patchbay/testing`. */
export type { ConformanceOptions, Tester } from './conformance.ts'
export { conformance } from './conformance.ts'
export type { Published, TestContext, TestContextOptions } from './context.ts'
export { createTestContext } from './context.ts'
export type { FakeClients } from './fake-clients.ts'
export { fakeClients } from './fake-clients.ts'
export type { DBusAnswer, DBusRequest, ExecAnswer, FakeServices, Remembering } from './fakes.ts'
export { failing, fakeDBus, fakeExec } from './fakes.ts'
export type { Answer, ClientSocket, TestClient, TestHost, TestHostOptions, TestVisit, TestVisitor } from './types.ts'

/** Starts a real host on a free port of 127.0.0.1. `stop()` it in the test's teardown. */
export const startTestHost: (options?: TestHostOptions) => Promise<TestHost> = start
