import t from 'tap'
import { migrations, revocationsIn } from '../../../core/process/shared-revocations.ts'
import { openStore } from '../../../core/process/store.ts'
import { PrivatePostgres } from '../../support/postgres.ts'

t.setTimeout(120_000)

const later = Date.now() / 1000 + 600

void t.test('each plugin has its own, the latest time counts, and what ends anyway is forgotten', async (t) => {
  const { url } = await new PrivatePostgres(t).start()
  const [one, other] = [revocationsIn(url, 'club'), revocationsIn(url, 'bar')]
  t.strictSame(await one.read(), {})
  await one.add('jti a', 1)
  await one.add('jti __proto__', later)
  await one.add('sub alice', 1)
  await one.add('sub alice', 2.5)
  await other.add('sub alice', 7)
  t.strictSame(Object.entries(await one.read()).sort(), [
    ['jti __proto__', later],
    ['sub alice', 2.5],
  ])
  t.strictSame(await other.read(), { 'sub alice': 7 })
})

void t.test('its table is made and removed', async (t) => {
  const { url } = await new PrivatePostgres(t).start()
  const place = { url, schema: 'patchbay__revoked' }
  await revocationsIn(url, 'club').add('jti a', later)
  const { db } = await openStore<Record<string, never>>(place, migrations, 'none')
  const tables = async () => (await db.introspection.getTables()).map(({ name }) => name).filter((name) => name === 'revoked')
  t.strictSame(await tables(), [])
  await openStore(place, migrations).then(({ db }) => db.destroy())
  t.strictSame(await tables(), ['revoked'])
  await db.destroy()
  t.strictSame(await revocationsIn(url, 'club').read(), {})
})
