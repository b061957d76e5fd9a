import { html } from './html.ts'

/** The page's only style sheet: light and dark, phone and desktop. */
export const style = html`
:root { color-scheme: light dark; --back: #fff; --card: #f6f8fa; --line: #d1d9e0; --text: #1f2328; --soft: #59636e; --link: #0550ae;
  --good: #116329; --bad: #a40e26; --warn: #7d4e00 }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --card: #151b23; --line: #3d444d; --text: #e6edf3; --soft: #9198a1;
  --link: #79b8ff; --good: #56d364; --bad: #ff7b72; --warn: #e3b341 } }
* { box-sizing: border-box }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100% }
body { margin: 0 auto; max-width: 62rem; padding: 1.25rem 1rem 4rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25 }
h2 { margin: 3rem 0 .25rem; font-size: 1.35rem; padding-top: 1rem; border-top: 1px solid var(--line) }
h3 { margin: 1.75rem 0 .5rem; font-size: 1rem; color: var(--soft) }
h4 { margin: 0; font-size: 1rem; font-family: ui-monospace, monospace }
p { margin: .4rem 0 }
a { color: var(--link) }
code, pre { font-family: ui-monospace, monospace; font-size: .875em }
pre { margin: .6rem 0; padding: .6rem .75rem; border: 1px solid var(--line); border-radius: 6px; background: var(--back);
  white-space: pre-wrap }
.call { user-select: all; -webkit-user-select: all }
nav { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0 }
nav a { padding: .35rem .75rem; border: 1px solid var(--line); border-radius: 999px; text-decoration: none }
.soft { color: var(--soft) }
.state { white-space: nowrap; font-weight: 600; color: var(--warn) }
.running { color: var(--good) } .disabled { color: var(--soft) } .failed, .quarantined { color: var(--bad) }
.card { margin: .75rem 0; padding: .85rem 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card) }
.tags { display: flex; flex-wrap: wrap; gap: .15rem 1rem; margin: .3rem 0; padding: 0; list-style: none; font-size: .875rem; color: var(--soft) }
.label { margin: .75rem 0 .15rem; font-size: .875rem; font-weight: 600 }
table { width: 100%; border-collapse: collapse; font-size: .875rem }
th, td { padding: .35rem .5rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
th { color: var(--soft); font-weight: 600 }
tr:last-child td { border-bottom: 0 }
td:first-child { width: 30% } td:nth-child(2) { width: 28% }
.codes td:first-child { width: 34% }
@media (max-width: 40rem) {
  thead { display: none }
  tr { display: block; padding: .4rem 0; border-bottom: 1px solid var(--line) }
  tr:last-child { border-bottom: 0 }
  td, td:first-child, td:nth-child(2), .codes td:first-child { display: block; width: auto; padding: 0; border: 0 }
}
`
