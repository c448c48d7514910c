/** Characters of a token that who may not know it is shown. */
const SHOWN = 4

/** A token as those see it who may only read: its beginning, and never more than half of it. */
export function maskToken(token: string): string {
  const characters = Array.from(token)
  return `${characters.slice(0, Math.min(SHOWN, Math.floor(characters.length / 2))).join('')}…`
}
