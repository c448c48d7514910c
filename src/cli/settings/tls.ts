import { LinkSocksError } from '../../errors.js'
import { checkCa } from '../../node/check-options.js'
import type { TlsOptions } from '../../node/connect/server-socket.js'
import { CA_FILE, INSECURE, SERVER_NAME } from './client-flags.js'
import { optionError, type Settings } from './environment.js'
import { CA_FILE_LIMIT, readTextFile } from './files.js'
import { parseHost, parseText } from './values.js'

/** @throws {LinkSocksError} ERR_OPTION naming the flag */
export async function readTls(settings: Settings): Promise<TlsOptions> {
  return {
    ca: await readCa(settings),
    serverName: settings.value(SERVER_NAME, parseHost),
    insecure: settings.enabled(INSECURE),
  }
}

async function readCa(settings: Settings): Promise<string | undefined> {
  const path = settings.value(CA_FILE, parseText)
  if (path === undefined) return undefined
  try {
    const pem = await readTextFile(path, CA_FILE_LIMIT)
    checkCa('the file', pem)
    return pem
  } catch (cause) {
    throw optionError('--ca-file', LinkSocksError.from(cause, 'ERR_OPTION').message, cause)
  }
}
