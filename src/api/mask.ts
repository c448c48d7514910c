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

const MASKED = new RegExp(`^.{0,${SHOWN}}…$`, 'su')

/** As {@link maskToken}, for a reader of the API: a token that the server masked already stays as it is. */
export function maskReceivedToken(token: string): string {
  return MASKED.test(token) ? token : maskToken(token)
}
