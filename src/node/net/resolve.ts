import { type LookupAddress, lookup } from 'node:dns'
import { isIP } from 'node:net'
import { untilAborted } from '../../deadline.js'
import { LinkSocksError } from '../../errors.js'
import type { Resolve } from '../../ports.js'
import { errorCode } from '../system/error-code.js'

/** Addresses of one name that are looked at; a name server may send thousands. */
export const MAX_ADDRESSES = 32

/**
 * Resolves by the system (getaddrinfo: hosts file, DNS, order of RFC 6724). Cancelling ends the wait; the look-up itself
 * runs to its end on its thread, of which libuv gives name resolution at most half of the pool.
 */
export const nodeResolve: Resolve = async (host, { signal } = {}) => {
  if (signal?.aborted) throw LinkSocksError.cancelled(signal)
  if (isIP(host) !== 0) return [host]
  const found = await (signal === undefined ? lookupAll(host) : untilAborted(lookupAll(host), signal))
  const addresses = [...new Set(found.map(({ address }) => address))].slice(0, MAX_ADDRESSES)
  if (addresses.length === 0) throw notFound()
  return addresses
}

function lookupAll(host: string): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, found?: LookupAddress[]): void => {
      if (error) reject(resolveError(error))
      else resolve(found ?? [])
    }
    try {
      // an empty name would resolve to nothing at all
      if (host === '') done(null)
      else lookup(host, { all: true, order: 'verbatim' }, done)
    } catch (thrown) {
      done(thrown instanceof Error ? thrown : new Error(String(thrown)))
    }
  })
}

function resolveError(error: Error): LinkSocksError {
  const code = errorCode(error)
  if (code === 'ENOTFOUND' || code === 'ENODATA') return notFound(error)
  if (code === 'EAI_AGAIN') {
    const text = 'name does not resolve: temporary failure of the name service'
    return new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', text, { cause: error })
  }
  return new LinkSocksError('ERR_DIAL_FAILED', `name service failed: ${code || error.message}`, { cause: error })
}

function notFound(cause?: Error): LinkSocksError {
  return new LinkSocksError('ERR_DIAL_HOST_UNREACHABLE', 'name does not resolve', { cause })
}
