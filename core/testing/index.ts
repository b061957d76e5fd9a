/** What a plugin's tests import, as `patchbay/testing`. */
export type { ConformanceOptions, Tester } from './conformance.ts'
export { conformance } from './conformance.ts'
export type { Answer, TestClient, TestHost, TestHostOptions } from './host.ts'
export { startTestHost } from './host.ts'
