import { render } from 'preact'
import { App } from './app.tsx'
import { Link } from './link.ts'
import { Modules } from './module.ts'
import { roles } from './rights.ts'
import { followAddress } from './route.ts'
import { isInTelegram, telegram } from './surroundings.ts'
import { chooseLanguage } from './text.ts'

async function start(): Promise<void> {
  if (isInTelegram()) telegram.value = (await import('./telegram.ts')).enterTelegram()
  await chooseLanguage(navigator.languages)
  followAddress(telegram.value?.startParam)
  const link = new Link(telegram.value?.initData)
  const modules = new Modules(link)
  // Rights may differ on every connection.
  link.epoch.subscribe((epoch) => {
    if (epoch > 0) void askRoles(modules)
  })
  render(<App link={link} modules={modules} />, document.getElementById('app') as HTMLElement)
  await link.start()
}

async function askRoles(modules: Modules): Promise<void> {
  const answer = await modules.all.peek().get('panel')?.send('panel:me')
  if (answer?.success) roles.value = answer['roles'] as string[]
}

void start()
