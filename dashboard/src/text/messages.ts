import { language } from '../state/preferences.js'
import { useStore } from '../state/store.js'
import { en, type Messages } from './en.js'
import { zh } from './zh.js'

/** The page's words in the language chosen. */
export function useMessages(): Messages {
  return useStore(language) === 'zh' ? zh : en
}

/** What `Intl` wants to hear. */
export function useLocale(): string {
  return useStore(language) === 'zh' ? 'zh-CN' : 'en-GB'
}
