import { LinkSocksError } from '../errors.js'
import { checkApiKeys, checkDataKey } from '../node/check-options.js'
import type { ApiKey, ServerOptions } from '../node/options.js'
import { optionError, type Settings } from './settings/environment.js'
import { longName } from './settings/flags.js'
import { ignored, ignoredIfGiven, type Notice } from './settings/plan.js'
import {
  ACME_DOMAIN,
  API_KEY,
  API_KEY_FILE,
  API_KEYS_FILE,
  DATA_DIR,
  DATA_DIR_WAIT,
  DATA_KEY,
  DATA_KEY_FILE,
  METRICS_KEY,
  METRICS_KEY_FILE,
  METRICS_LISTEN,
  NAMED_API_KEY,
  TAKE_OVER,
} from './settings/server-flags.js'
import { parseApiKey, parseDuration, parseHostPort, parseText } from './settings/values.js'

/** Options of the HTTP API, its tokens' directory and metrics. */
export type ApiOptions = Pick<
  ServerOptions,
  'apiKey' | 'apiKeys' | 'dataDir' | 'dataDirWaitMs' | 'takeOver' | 'dataKey' | 'metricsKey' | 'metricsListen'
>

/** Whether any key switches the API on. */
export function hasApi({ apiKey, apiKeys = [] }: ApiOptions): boolean {
  return apiKey !== undefined || apiKeys.length > 0
}

/** @throws {LinkSocksError} ERR_OPTION naming the flag or variable, and no key */
export async function readApiOptions(settings: Settings): Promise<ApiOptions> {
  const apiKey = await settings.secret(API_KEY, parseApiKey, API_KEY_FILE)
  const dataDir = settings.value(DATA_DIR, parseText)
  const dataKey = await settings.secret(DATA_KEY, parseDataKey, DATA_KEY_FILE)
  return {
    apiKey,
    apiKeys: await readNamedKeys(settings, apiKey),
    dataDir,
    ...readTaking(settings, dataDir),
    dataKey: dataDir === undefined ? undefined : dataKey,
    metricsKey: await settings.secret(METRICS_KEY, parseApiKey, METRICS_KEY_FILE),
    metricsListen: settings.value(METRICS_LISTEN, parseHostPort),
  }
}

/** How it gets a data directory that another process has. */
function readTaking(settings: Settings, dataDir: string | undefined): Pick<ApiOptions, 'dataDirWaitMs' | 'takeOver'> {
  const dataDirWaitMs = settings.value(DATA_DIR_WAIT, (text) => parseDuration(text, 0))
  const takeOver = settings.enabled(TAKE_OVER)
  const given = takeOver ? TAKE_OVER : DATA_DIR_WAIT
  if (dataDir === undefined && (takeOver || dataDirWaitMs !== undefined))
    throw optionError(settings.source(given) ?? longName(given), `needs ${longName(DATA_DIR)}`)
  return { dataDirWaitMs, takeOver }
}

/** What the server's user should know before tokens are lost, or kept for nothing. */
export function apiNotices(settings: Settings, options: ApiOptions): readonly Notice[] {
  const notices: Notice[] = []
  if (options.dataDir === undefined) {
    notices.push(...ignoredIfGiven(settings, [DATA_KEY_FILE], 'it is for --data-dir'))
    if (hasApi(options)) {
      const reason = 'tokens added by the API are kept in memory only and gone after a restart; --data-dir keeps them'
      notices.push({ level: 'info', event: 'tokens.not-kept', fields: { reason } })
    }
  } else if (!hasApi(options) && settings.source(ACME_DOMAIN) === undefined) {
    // the tokens that are in there work all the same
    notices.push(ignored(DATA_DIR, 'without --api-key nothing can change the tokens in it'))
  }
  return notices
}

async function readNamedKeys(settings: Settings, apiKey: string | undefined): Promise<readonly ApiKey[] | undefined> {
  const source = settings.source(NAMED_API_KEY, API_KEYS_FILE)
  if (source === undefined) return undefined
  const parse = settings.given(NAMED_API_KEY) ? (text: string) => [parseNamedKey(text)] : parserOf(source)
  const keys = (await settings.secrets(NAMED_API_KEY, parse, API_KEYS_FILE)).flat()
  if (keys.length === 0) throw optionError(source, 'names no key')
  checkApiKeys(source, keys, apiKey)
  return keys
}

/** A file has one key a line; the variable may have commas instead, so that a key in it can have none. */
function parserOf(source: string): (text: string) => readonly ApiKey[] {
  const file = source === '--api-keys-file' || source.endsWith('_FILE')
  return (text) =>
    text
      .split(file ? /\r?\n/ : /[\r\n,]+/)
      .map((line) => line.trim())
      .flatMap((line, index) => (line === '' || line.startsWith('#') ? [] : [inLine(file ? index + 1 : 0, line)]))
}

function inLine(number: number, line: string): ApiKey {
  try {
    return parseNamedKey(line)
  } catch (cause) {
    const { message } = LinkSocksError.from(cause, 'ERR_OPTION')
    throw number === 0 ? cause : optionError(`line ${number}`, message, cause)
  }
}

/** `NAME:ROLE:KEY`; the key may have colons. Its text never goes into an error. */
function parseNamedKey(text: string): ApiKey {
  const [, name, role, key] = /^([^:]*):([^:]*):(.*)$/s.exec(text) ?? []
  if (name === undefined || key === undefined || (role !== 'full' && role !== 'read-only')) {
    throw new LinkSocksError('ERR_OPTION', 'a key is written NAME:ROLE:KEY, with full or read-only as ROLE')
  }
  return { name, role, key }
}

function parseDataKey(text: string): string {
  checkDataKey('the key', text)
  return text
}
