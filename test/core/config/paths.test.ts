import { join } from 'node:path'
import t from 'tap'
import { resolvePaths } from '../../../core/config/paths.ts'

void t.test('Patchbay’s own variables win over everything, and relative ones are made absolute', async (t) => {
  const root = t.testdir({ core: {} })
  const systemd = { CONFIGURATION_DIRECTORY: '/etc/x', STATE_DIRECTORY: '/var/lib/x' }
  t.same(resolvePaths({ ...systemd, PATCHBAY_CONFIG_DIR: '/a', PATCHBAY_DATA_DIR: 'b' }, root), {
    configDir: '/a',
    dataDir: join(process.cwd(), 'b'),
  })
})

void t.test('of systemd’s directories the first of a list counts', async (t) => {
  const env = { CONFIGURATION_DIRECTORY: '/etc/patchbay:/etc/other', STATE_DIRECTORY: '/var/lib/patchbay:/var/lib/other' }
  t.same(resolvePaths(env, t.testdir({ core: {} })), { configDir: '/etc/patchbay', dataDir: '/var/lib/patchbay' })
})

void t.test('a checkout keeps both in itself', async (t) => {
  const root = t.testdir({ core: {} })
  const env = { HOME: '/home/u', XDG_CONFIG_HOME: '/x', PATCHBAY_CONFIG_DIR: '', STATE_DIRECTORY: '' }
  t.same(resolvePaths(env, root), { configDir: join(root, 'config'), dataDir: join(root, '.data') })
})

void t.test('an installed package uses the user’s XDG directories, or their defaults where those are not absolute', async (t) => {
  const dir = t.testdir({ node_modules: { patchbay: { core: {} } }, bare: {} })
  for (const root of [join(dir, 'node_modules/patchbay'), join(dir, 'bare')]) {
    t.same(resolvePaths({ HOME: '/home/u', XDG_CONFIG_HOME: '/x/c', XDG_STATE_HOME: '/x/s' }, root), {
      configDir: '/x/c/patchbay',
      dataDir: '/x/s/patchbay',
    })
    t.same(resolvePaths({ HOME: '/home/u', XDG_CONFIG_HOME: 'c' }, root), {
      configDir: '/home/u/.config/patchbay',
      dataDir: '/home/u/.local/state/patchbay',
    })
  }
})
