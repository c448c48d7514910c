/**
 * The form of a data key. On its own, so that a server without a data directory loads no more than this to check its options.
 */

/** Bytes of a data key. */
export const DATA_KEY_BYTES = 32
/** The form in words, for errors. */
export const DATA_KEY_FORMS = `${DATA_KEY_BYTES} bytes as 64 hex digits or base64`

const HEX = /^[\da-f]{64}$/i
/** Programs that make keys differ about the `=` at the end. */
const BASE64 = /^[A-Za-z\d+/]{43}=?$/

/** How the text of a data key is written; `undefined` when it is no data key. */
export function dataKeyEncoding(text: string): 'hex' | 'base64' | undefined {
  if (HEX.test(text)) return 'hex'
  return BASE64.test(text) ? 'base64' : undefined
}
