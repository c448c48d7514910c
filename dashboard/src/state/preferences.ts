import { Store } from './store.js'

export type Language = 'en' | 'zh'
export type Theme = 'system' | 'light' | 'dark'

const LANGUAGE_KEY = 'linksocks.language'
const THEME_KEY = 'linksocks.theme'

/** Session storage may be switched off; then nothing is remembered. */
export function remembered(key: string): string | null {
  try {
    return sessionStorage.getItem(key)
  } catch {
    return null
  }
}

/** @param value null forgets it */
export function remember(key: string, value: string | null): void {
  try {
    if (value === null) sessionStorage.removeItem(key)
    else sessionStorage.setItem(key, value)
  } catch {
    // kept for as long as the page is open
  }
}

function firstLanguage(): Language {
  const stored = remembered(LANGUAGE_KEY)
  if (stored === 'en' || stored === 'zh') return stored
  const known = navigator.languages.map((name) => name.slice(0, 2).toLowerCase())
  return known.find((name) => name === 'en' || name === 'zh') === 'zh' ? 'zh' : 'en'
}

function firstTheme(): Theme {
  const stored = remembered(THEME_KEY)
  return stored === 'light' || stored === 'dark' ? stored : 'system'
}

export const language = new Store<Language>(firstLanguage())
export const theme = new Store<Theme>(firstTheme())

/** Carries both choices over to the document, now and at every change. */
export function applyPreferences(): void {
  const root = document.documentElement
  const apply = (): void => {
    root.lang = language.get() === 'zh' ? 'zh-CN' : 'en'
    if (theme.get() === 'system') delete root.dataset.theme
    else root.dataset.theme = theme.get()
  }
  language.subscribe(() => {
    remember(LANGUAGE_KEY, language.get())
    apply()
  })
  theme.subscribe(() => {
    remember(THEME_KEY, theme.get() === 'system' ? null : theme.get())
    apply()
  })
  apply()
}
