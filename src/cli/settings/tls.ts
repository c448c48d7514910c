import { LinkSocksError } from '../../errors.js'
import { checkCa, checkClientCertificate, checkKeyPin, MAX_PINS } from '../../node/check-options.js'
import type { TlsOptions } from '../../node/connect/server-socket.js'
import { CA_FILE, CLIENT_CERT, CLIENT_KEY, INSECURE, PIN_SHA256, SERVER_NAME } from './client-flags.js'
import { optionError, type Settings } from './environment.js'
import { CA_FILE_LIMIT, readTextFile } from './files.js'
import { type Flag, longName } from './flags.js'
import { parseHost, parseText } from './values.js'

/** @throws {LinkSocksError} ERR_OPTION naming the flag */
export async function readTls(settings: Settings): Promise<TlsOptions> {
  const ca = await readPem(settings, CA_FILE)
  if (ca !== undefined) named(settings, CA_FILE, () => checkCa('the file', ca))
  const pins = readPins(settings)
  return {
    ca,
    serverName: settings.value(SERVER_NAME, parseHost),
    insecure: settings.enabled(INSECURE),
    ...(await readOwn(settings)),
    ...(pins.length > 0 && { pinSha256: pins }),
  }
}

/** The certificate that a client shows. */
async function readOwn(settings: Settings): Promise<Pick<TlsOptions, 'cert' | 'key'>> {
  const cert = await readPem(settings, CLIENT_CERT)
  const key = await readPem(settings, CLIENT_KEY)
  checkClientCertificate([nameOf(settings, CLIENT_CERT), nameOf(settings, CLIENT_KEY)], cert, key)
  return cert === undefined ? {} : { cert, key }
}

function readPins(settings: Settings): readonly string[] {
  const pins = settings.list(PIN_SHA256, parsePin) ?? []
  if (pins.length > MAX_PINS) throw optionError(nameOf(settings, PIN_SHA256), `at most ${MAX_PINS} keys`)
  return pins
}

function parsePin(text: string): string {
  checkKeyPin(text)
  return text
}

async function readPem(settings: Settings, flag: Flag): Promise<string | undefined> {
  const path = settings.value(flag, parseText)
  if (path === undefined) return undefined
  try {
    return await readTextFile(path, CA_FILE_LIMIT)
  } catch (cause) {
    throw optionError(nameOf(settings, flag), LinkSocksError.from(cause, 'ERR_OPTION').message, cause)
  }
}

function named(settings: Settings, flag: Flag, check: () => void): void {
  try {
    check()
  } catch (cause) {
    throw optionError(nameOf(settings, flag), LinkSocksError.from(cause, 'ERR_OPTION').message, cause)
  }
}

function nameOf(settings: Settings, flag: Flag): string {
  return settings.source(flag) ?? longName(flag)
}
