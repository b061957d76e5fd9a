import { on, postEvent } from '@tma.js/sdk'
import type { MainButton, Telegram } from './surroundings.ts'

type Theme = Readonly<Record<string, string | undefined>>

/** Our colours by Telegram's names for them. */
const colours = {
  bg_color: '--surface',
  secondary_bg_color: '--page',
  text_color: '--text',
  hint_color: '--soft',
  link_color: '--accent-text',
  button_color: '--accent',
  button_text_color: '--on-accent',
  destructive_text_color: '--bad',
} as const

/**
 * Settles into Telegram. Init data stays where Telegram put it, in this page's fragment, and is kept nowhere else; the SDK's own
 * retrieval would leave it in the session storage, so only its events and methods are used.
 */
export function enterTelegram(): Telegram | undefined {
  const launch = new URLSearchParams(location.hash.slice(1))
  const initData = launch.get('tgWebAppData') ?? ''
  if (!initData) return undefined
  wear(readJson(launch.get('tgWebAppThemeParams')))
  on('theme_changed', ({ theme_params }) => wear(theme_params as Theme))
  on('safe_area_changed', (insets) => keepClear('safe', insets))
  on('content_safe_area_changed', (insets) => keepClear('content', insets))
  for (const event of [
    'web_app_ready',
    'web_app_expand',
    'web_app_request_safe_area',
    'web_app_request_content_safe_area',
    'web_app_request_theme',
  ] as const)
    tell(() => postEvent(event))

  let back: (() => void) | undefined
  on('back_button_pressed', () => back?.())
  let main: MainButton | undefined
  on('main_button_pressed', () => main?.press())
  return {
    initData,
    startParam: new URLSearchParams(initData).get('start_param') ?? launch.get('tgWebAppStartParam') ?? undefined,
    haptic: (kind) =>
      tell(() =>
        kind === 'tap'
          ? postEvent('web_app_trigger_haptic_feedback', { type: 'impact', impact_style: 'light' })
          : postEvent('web_app_trigger_haptic_feedback', { type: 'notification', notification_type: kind }),
      ),
    setBack(wanted) {
      back = wanted
      tell(() => postEvent('web_app_setup_back_button', { is_visible: wanted !== undefined }))
    },
    confirmClosing: (wanted) => tell(() => postEvent('web_app_setup_closing_behavior', { need_confirmation: wanted })),
    setMain(wanted) {
      main = wanted
      tell(() =>
        postEvent('web_app_setup_main_button', {
          is_visible: wanted !== undefined,
          ...(wanted && { text: wanted.text, is_active: !wanted.isBusy, is_progress_visible: wanted.isBusy }),
        }),
      )
    },
  }
}

/** Of an older Telegram that does not know a method nothing is missed. */
function tell(post: () => void): void {
  try {
    post()
  } catch {
    // No Telegram around the page that could hear it.
  }
}

function readJson(text: string | null): Theme {
  try {
    return JSON.parse(text ?? '{}') as Theme
  } catch {
    return {}
  }
}

function wear(theme: Theme): void {
  const { style } = document.documentElement
  for (const [name, property] of Object.entries(colours)) {
    const value = theme[name]
    if (value !== undefined && /^#[0-9a-f]{6}$/i.test(value)) style.setProperty(property, value)
  }
  if (theme['bg_color']) style.colorScheme = isDark(theme['bg_color']) ? 'dark' : 'light'
}

function isDark(colour: string): boolean {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16))
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128
}

function keepClear(kind: 'safe' | 'content', insets: object): void {
  for (const [side, px] of Object.entries(insets))
    if (typeof px === 'number') document.documentElement.style.setProperty(`--${kind}-${side}`, `${px}px`)
}
