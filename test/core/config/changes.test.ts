import t from 'tap'
import { changesOf } from '../../../core/config/changes.ts'

void t.test('tells who came, who went and whose role is another', (t) => {
  const before = { users: { 1: 'owner', 2: 'viewer', 3: 'viewer' }, roles: { guest: ['system:*'] } }
  const after = { users: { 1: 'owner', 2: ['operator', 'guest'], 4: 'viewer' }, roles: { guest: ['system:*', '!system:reboot'] } }
  t.strictSame(changesOf(before, after), [
    'users/2: operator, guest',
    'users/3: removed',
    'roles/guest: system:*, !system:reboot',
    'users/4: viewer',
  ])
  t.strictSame(changesOf(after, structuredClone(after)), [])
  t.end()
})

void t.test('tells of settings that they changed, not what they are', (t) => {
  const before = { plugins: { camera: { enabled: false, settings: { url: 'rtsp://user:secret@cam' } } } }
  const after = { plugins: { camera: { enabled: true, settings: { url: 'rtsp://user:other@cam', password: 'x' } } } }
  t.strictSame(changesOf(before, after), [
    'plugins/camera/enabled: true',
    'plugins/camera/settings/url: changed',
    'plugins/camera/settings/password: changed',
  ])
  t.end()
})

void t.test('a file with thousands of changes makes a short list', (t) => {
  const users = Object.fromEntries(Array.from({ length: 5000 }, (_, id) => [id, 'viewer']))
  t.equal(changesOf({ users: {} }, { users }).length, 50)
  t.end()
})
