import { LinkSocksError } from '../../src/errors.js'

/** The LinkSocksError that `run` throws; anything else it does fails the test. */
export function errorOf(run: () => unknown): LinkSocksError {
  try {
    run()
  } catch (error) {
    if (error instanceof LinkSocksError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** Its code. */
export function codeOf(run: () => unknown): string {
  return errorOf(run).code
}
