import type { RouteDefinition } from '../../../core/plugin/contract.ts'
import { pathOf } from './document.ts'
import { exampleCall } from './example.ts'
import { type Field, fieldsOf, typeOf } from './fields.ts'
import { type CommandEntry, type EventEntry, policyOf, sorted } from './groups.ts'
import { type Html, html } from './html.ts'
import { expand, isObject } from './schema.ts'

export function commandCard(entry: CommandEntry): Html {
  const { name, definition } = entry
  const { role, roles, rate, timeoutMs, inFlight } = policyOf(entry)
  const payload = definition.payload && expand(definition.payload)
  return html`<article class="card">
<h4>${name}</h4>
${definition.description !== undefined && html`<p>${definition.description}</p>`}
<ul class="tags"><li>role: ${role ?? roles?.join(' or ') ?? 'any'}</li><li>at most ${rate.max} in ${rate.windowMs / 1000} s</li>
<li>answered within ${timeoutMs / 1000} s</li><li>${inFlight} unanswered at a time</li></ul>
${value('Payload', definition.payload)}
${value('Result', definition.result)}
<pre class="call">${exampleCall(name, payload)}</pre>
</article>
`
}

const reaches = { subscribers: 'to subscribers', connected: 'to everybody connected', addressed: 'to those it is addressed to' }

export function eventCard({ name, definition }: EventEntry): Html {
  return html`<article class="card">
<h4>${name}</h4>
${definition.description !== undefined && html`<p>${definition.description}</p>`}
<ul class="tags"><li>${reaches[definition.to ?? 'subscribers']}</li>${definition.retained && html`<li>retained: the last value comes at once</li>`}</ul>
${value('Value', definition.payload)}
</article>
`
}

function value(label: string, schema: object | undefined): Html {
  if (schema === undefined) return html`<p class="label">${label}: none</p>`
  const whole = expand(schema)
  const { fields, more } = fieldsOf(whole)
  const description = isObject(whole) && typeof whole.description === 'string' && !fields.some(({ path }) => path === '')
  return html`<p class="label">${label}: <code>${typeOf(whole)}</code></p>
${description && html`<p>${String((whole as { description: string }).description)}</p>`}
${fields.length > 0 && fieldTable(fields)}
${more && html`<p class="soft">And more; the document has all of it.</p>`}`
}

function fieldTable(fields: readonly Field[]): Html {
  return html`<table><thead><tr><th>Field</th><th>Type</th><th>What it is</th></tr></thead><tbody>
${fields.map(
  ({
    path,
    type,
    required,
    limits,
    description,
  }) => html`<tr><td><code>${path || 'itself'}</code>${!required && html` <span class="soft">optional</span>`}</td>
<td><code>${type}</code></td><td>${description}${description !== undefined && limits.length > 0 && html`<br>`}<span class="soft">${limits.join(', ')}</span></td></tr>
`,
)}</tbody></table>`
}

export function errorTable(errors: Readonly<Record<string, string>>): Html {
  const rows = sorted(errors).map(([code, sentence]) => html`<tr><td><code>${code}</code></td><td>${sentence}</td></tr>\n`)
  return html`<table class="codes"><thead><tr><th>Code</th><th>What happened</th></tr></thead><tbody>${rows}</tbody></table>`
}

export function routeTable(id: string, routes: Readonly<Record<string, RouteDefinition>>): Html {
  const rows = sorted(routes).map(
    ([
      name,
      { description, role = 'owner', roles, anonymous, token },
    ]) => html`<tr><td><code>${name.slice(0, name.indexOf(' '))} ${pathOf(id, name)}</code></td>
<td>role: ${anonymous ? 'any' : (roles?.join(' or ') ?? role)}${token && ', or a token of its own'}</td><td>${description}</td></tr>
`,
  )
  return html`<table><thead><tr><th>Path</th><th>Who</th><th>What it is</th></tr></thead><tbody>${rows}</tbody></table>`
}
