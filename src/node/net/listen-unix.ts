import { lstat, stat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { LinkSocksError } from '../../errors.js'
import { errorCode } from '../system/error-code.js'

/** How long an old socket may take to show that somebody listens on it. */
const PROBE_TIMEOUT_MS = 1_000

/**
 * Binds `server` to a Unix domain socket. A socket on which nobody listens any more, as a killed server leaves it, makes place.
 * @throws {LinkSocksError} ERR_LISTEN
 */
export async function listenUnix(server: Server, path: string): Promise<void> {
  try {
    await bind(server, path)
  } catch (thrown) {
    if (errorCode(thrown) !== 'EADDRINUSE' || !(await isAbandoned(path))) throw await unixError(thrown, path)
    try {
      await unlink(path)
      await bind(server, path)
    } catch (cause) {
      throw await unixError(cause, path)
    }
  }
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Whether a socket is there that refuses connections; any other file stays. */
async function isAbandoned(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isSocket() !== true) return false
  return new Promise((resolve) => {
    const socket = connect({ path })
    const settle = (abandoned: boolean): void => {
      socket.destroy()
      resolve(abandoned)
    }
    socket.setTimeout(PROBE_TIMEOUT_MS, () => settle(false))
    socket.on('connect', () => settle(false))
    socket.on('error', (error) => settle(errorCode(error) === 'ECONNREFUSED'))
  })
}

async function unixError(cause: unknown, path: string): Promise<LinkSocksError> {
  const code = errorCode(cause)
  // Node says EACCES of a directory that is not there, too
  const missing = code === 'EACCES' && (await stat(dirname(path)).then(() => '', errorCode))
  return new LinkSocksError('ERR_LISTEN', problem(missing || code, path), { cause })
}

function problem(code: string, path: string): string {
  switch (code) {
    case 'EADDRINUSE':
      return `${path} is in use: another server listens there, or it is no socket`
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `no permission to make the socket ${path}`
    case 'ENOENT':
    case 'ENOTDIR':
      return `can't make the socket ${path}: its directory is not there`
    default:
      return `can't listen on ${path}${code === '' ? '' : `: ${code}`}`
  }
}
