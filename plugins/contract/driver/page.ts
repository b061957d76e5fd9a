import type { CoreContract, MountedContract } from '../../../core/plugin/host-control.ts'
import { commandCard, errorTable, eventCard, routeTable } from './cards.ts'
import { byNamespace, compare, type NamespaceContract } from './groups.ts'
import { type Html, html } from './html.ts'
import { style } from './style.ts'

/** A page about everything that is mounted: no script, nothing from elsewhere, every text of a plugin escaped. */
export function contractPage(contracts: readonly MountedContract[], core: CoreContract, version: string): string {
  const sorted = [...contracts].sort((a, b) => compare(a.id, b.id))
  const namespaces = byNamespace(contracts, core)
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Patchbay: the contract</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>What this Patchbay takes and says</h1>
<p class="soft">Version ${version}. The same for programs: <code>/contract</code>, an AsyncAPI 3.0 document; types for
TypeScript: <code>npx patchbay types</code>.</p>
<nav>${[...sorted.map(({ id }) => html`<a href="#${id}">${id}</a>`), html`<a href="#core.">the core</a>`]}</nav>
</header>
<main>
${introduction}
${sorted.map((mounted) => moduleSection(mounted, namespaces))}
${coreSection(core, namespaces)}
</main>
</body>
</html>
`
  return page.text
}

const introduction = html`<p>A command is emitted with one payload, or none, and answered once: <code>{ success: true, … }</code> with the
fields of its result, or <code>{ success: false, code, error, id, retryAfter? }</code>. Who subscribes to a module hears its events.</p>
<pre class="call">import { io } from 'socket.io-client'
const socket = io('http://127.0.0.1:8080', { auth: { sessionToken } })
await socket.emitWithAck('module:subscribe', { module: 'system' })</pre>`

function moduleSection(mounted: MountedContract, namespaces: readonly NamespaceContract[]): Html {
  const { id, state, simulated, version, builtin, contract } = mounted
  const { description, subscribeRole = 'viewer', errors, routes } = contract
  return html`<section id="${id}">
<h2>${id} <span class="state ${state}">${state}</span>${simulated && html` <strong>SIMULATED</strong>`}</h2>
${description !== undefined && html`<p>${description}</p>`}
<ul class="tags"><li>version ${version}</li><li>${builtin ? 'comes with Patchbay' : 'added by the owner'}</li>
<li>subscribing: ${subscribeRole}</li></ul>
${namespaces.map((namespace) => groupParts(namespace, mounted))}
${routes && Object.keys(routes).length > 0 && html`<h3>HTTP</h3>${routeTable(id, routes)}`}
${errors && Object.keys(errors).length > 0 && html`<h3>Error codes</h3>${errorTable(errors)}`}
</section>
`
}

function coreSection(core: CoreContract, namespaces: readonly NamespaceContract[]): Html {
  const withCore = namespaces.find(({ commands, events }) => [...commands, ...events].some(({ mounted }) => !mounted))
  return html`<section id="core.">
<h2>The core</h2>
<p>What Patchbay itself takes and says on every namespace of its own policy.</p>
${withCore && groupParts(withCore, undefined)}
<h3>Error codes</h3>${errorTable(core.errors)}
</section>
`
}

/** Commands and events of one module, or of the core, on one namespace. */
function groupParts({ namespace, commands, events }: NamespaceContract, mounted: MountedContract | undefined): Html {
  const [ownCommands, ownEvents] = [
    commands.filter((one) => one.mounted === mounted),
    events.filter((one) => one.mounted === mounted),
  ]
  if (ownCommands.length === 0 && ownEvents.length === 0) return html``
  const isElsewhere = namespace !== '/' && mounted !== undefined
  const on = isElsewhere && html` <span class="soft">on <code>${namespace}</code></span>`
  return html`${isElsewhere && html`<pre class="call">const socket = io('http://127.0.0.1:8080${namespace}', { auth })</pre>`}
${ownCommands.length > 0 && html`<h3>Commands${on}</h3>${ownCommands.map(commandCard)}`}
${ownEvents.length > 0 && html`<h3>Events${on}</h3>${ownEvents.map(eventCard)}`}`
}
