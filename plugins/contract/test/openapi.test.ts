import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { startTestHost } from '../../../core/testing/host.ts'

t.setTimeout(120_000)

void t.test('the routes of all plugins are an OpenAPI document, with whom they are for', async (t) => {
  const host = await startTestHost({ builtins: ['contract', 'studio'], namespaces: { studio: '/' }, host: { namespace: '/pi' } })
  t.teardown(() => host.stop())
  await host.reached('contract', 'running')
  const { code } = host.host.issueLink(false)
  const login = await fetch(`${host.url}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  })
  const { sessionToken } = (await login.json()) as { sessionToken: string }
  const answer = await fetch(`${host.url}/contract/openapi`, { headers: { authorization: `Bearer ${sessionToken}` } })
  t.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8')
  const document = (await answer.json()) as { paths: Record<string, Record<string, Record<string, unknown>>> }
  const verdict = await new Validator().validate(document)
  t.equal(verdict.valid, true, JSON.stringify(verdict.errors)?.slice(0, 500))
  const progress = document.paths['/api/media/{mediaId}/progress']?.post
  t.match(progress, { tags: ['studio'], 'x-patchbay-roles': ['producer'], security: [{ bearer: [] }] })
  t.match(progress?.parameters, [{ name: 'mediaId', in: 'path', required: true, schema: { type: 'string' } }])
  t.match(progress?.requestBody, { content: { 'application/json': { schema: { required: ['progress', 'stage'] } } } })
  t.match(document.paths['/metrics']?.get, { 'x-patchbay-role': 'operator' })
  t.match(document.paths['/contract']?.get, { 'x-patchbay-role': 'viewer' })
})
