/** How much of a token a key may see. */
import type { KeyHolder } from './keys.js'

/** Characters that a read-only key sees of a token. */
const SHOWN = 4

/** Shows a token as the key of the request may see it. */
export type ShowToken = (token: string) => string

export function showTokenTo(key: KeyHolder | undefined): ShowToken {
  return key?.role === 'full' ? (token) => token : maskToken
}

/** A token as a read-only key sees it: its beginning, and never more than half of it. */
export function maskToken(token: string): string {
  const characters = Array.from(token)
  return `${characters.slice(0, Math.min(SHOWN, Math.floor(characters.length / 2))).join('')}…`
}
