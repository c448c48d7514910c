import { LinkSocksError } from '../errors.js'
import { parseServerUrl } from '../protocol/handshake.js'

export interface FailoverOptions<T> {
  readonly connect: (url: string) => Promise<T>
  /** Told of each server that failed while others are left, and of the last one. */
  readonly failed: (error: LinkSocksError, url: string) => void
  readonly signal: AbortSignal
}

/**
 * Connects to the first of `urls` that admits, one after the other.
 * @throws {LinkSocksError} when none does: what the last one failed with that is not a refused token, for what merely failed may
 *   be better later; at once what no other server would make better (ERR_URL, ERR_OPTION, the reason of `signal`)
 */
export async function firstOf<T>(urls: readonly string[], { connect, failed, signal }: FailoverOptions<T>): Promise<T> {
  let telling: LinkSocksError | undefined
  for (const url of urls) {
    try {
      return await connect(url)
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_CONNECT')
      if (signal.aborted || error.code === 'ERR_URL' || error.code === 'ERR_OPTION') throw error
      failed(error, url)
      if (telling === undefined || error.code !== 'ERR_AUTH_REJECTED') telling = error
    }
  }
  throw telling ?? new LinkSocksError('ERR_URL', 'there is no server to connect to')
}

/** Host and port of a server for the log: paths and queries may hold secrets. */
export function serverText(url: string): string {
  return new URL(parseServerUrl(url).url).host
}
