import { LinkSocksError } from '../../errors.js'
import { ID_TEXT } from '../../relay/tokens/token-text.js'
import { optionError, type Settings } from '../settings/environment.js'
import { type Flag, longName } from '../settings/flags.js'
import { readCredentials } from '../settings/plan.js'
import { parseToken } from '../settings/values.js'
import type { ApiClient } from './api-client.js'
import {
  DISABLE,
  ENABLE,
  EXPIRES_AT,
  EXPIRES_IN,
  JSON_OUTPUT,
  LABEL,
  NO_EXPIRY,
  NO_LABEL,
  NO_SOCKS_AUTH,
  SOCKS_PASSWORD,
  SOCKS_USERNAME,
} from './manage-flags.js'
import { checkTokenId, parseLabel, readExpiry, unknownId } from './manage-settings.js'
import { mergeRates, type Rates, readPolicyChange, readRates } from './policy-settings.js'
import { readShownToken } from './read-answers.js'
import { jsonText } from './table.js'
import type { Task } from './task.js'
import { tokenOf, tokenTable } from './token-list.js'

type Body = Readonly<Record<string, unknown>>

/** What the flags say, the same for every token. */
interface Changes {
  readonly fields: Body
  /** Of its policy all but the rates; `null` clears it. */
  readonly policy: Body | null | undefined
  readonly rates: Rates | undefined
}

/** `linksocks token set <id>...`: the same change for each, until one fails. */
export async function changeTokens({ api, settings, words, io }: Task): Promise<void> {
  for (const word of words) checkTokenId('token set', word)
  const changes = await readChanges(settings)
  const changed: unknown[] = []
  for (const id of words) {
    const answer = await api.about('PATCH', `/api/tokens/${id}`, await bodyFor(api, id, changes))
    if (answer === undefined) throw unknownId(id)
    changed.push(answer.body)
    if (!settings.enabled(JSON_OUTPUT)) {
      io.stdout.write(tokenTable([tokenOf(api, answer.body)], false, io.stdout.columns))
    }
  }
  if (settings.enabled(JSON_OUTPUT)) io.stdout.write(jsonText(changed.length === 1 ? changed[0] : changed))
}

/** The API replaces the rates of a policy as a whole: those that no flag names are read from the token. */
async function bodyFor(api: ApiClient, id: string, { fields, policy, rates }: Changes): Promise<Body> {
  if (rates === undefined) return { ...fields, policy }
  const answer = await api.about('GET', `/api/tokens/${id}`)
  if (answer === undefined) throw unknownId(id)
  const token = readShownToken(answer.body)
  if (token === undefined) throw api.foreign(answer)
  return { ...fields, policy: { ...policy, rate: mergeRates(token.policy?.rate ?? {}, rates) } }
}

/** Flags of which one at most can be given. */
const PAIRS: readonly (readonly Flag[])[] = [
  [ENABLE, DISABLE],
  [EXPIRES_AT, EXPIRES_IN, NO_EXPIRY],
  [SOCKS_USERNAME, NO_SOCKS_AUTH],
  [SOCKS_PASSWORD, NO_SOCKS_AUTH],
]

async function readChanges(settings: Settings): Promise<Changes> {
  for (const flags of PAIRS) {
    const [first, second] = flags.filter((flag) => settings.given(flag)).map(longName)
    if (second !== undefined) throw optionError(second, `cannot be combined with ${first}`)
  }
  const fields = {
    ...(settings.given(ENABLE) ? { enabled: true } : {}),
    ...(settings.given(DISABLE) ? { enabled: false } : {}),
    ...optional('label', settings.given(NO_LABEL) ? null : settings.value(LABEL, parseLabel)),
    ...optional('expires_at', settings.given(NO_EXPIRY) ? null : readExpiry(settings)),
    ...(await readSocks(settings)),
  }
  const policy = readPolicyChange(settings)
  const rates = readRates(settings)
  if (Object.keys(fields).length === 0 && policy === undefined && rates === undefined) {
    throw optionError('token set', 'what to change? --enable, --disable, --label, --expires-in, ...; see --help')
  }
  return { fields, policy, rates }
}

function optional(name: string, value: unknown): Readonly<Record<string, unknown>> {
  return value === undefined ? {} : { [name]: value }
}

/** Variables alone change nothing: they may be there for another command. */
async function readSocks(settings: Settings): Promise<Readonly<Record<string, unknown>>> {
  if (settings.given(NO_SOCKS_AUTH)) return { username: null, password: null }
  if (!settings.given(SOCKS_USERNAME) && !settings.given(SOCKS_PASSWORD)) return {}
  const { username, password } = await readCredentials(settings)
  return { username, password }
}

/** `linksocks token rm <id or token>...`: all of them, and then the first failure. */
export async function removeTokens({ api, words, io }: Task): Promise<void> {
  const tokens = words.map((word, index) => checked(word, index))
  const missing: number[] = []
  for (const [index, token] of tokens.entries()) {
    if (await removeToken(api, token))
      io.stdout.write(`removed ${ID_TEXT.test(token) ? token : `token ${index + 1}`}\n`)
    else missing.push(index + 1)
  }
  // by number: what is no id may be a secret
  if (missing.length > 0) {
    const which = words.length === 1 ? 'this token' : `token ${missing.join(', ')} of ${words.length}`
    throw new LinkSocksError('ERR_HTTP', `token rm: the server does not know ${which}`)
  }
}

function checked(word: string, index: number): string {
  try {
    return parseToken(word)
  } catch (cause) {
    throw optionError(`token rm: token ${index + 1}`, LinkSocksError.from(cause, 'ERR_OPTION').message, cause)
  }
}

/** By id first: a token may look like one. The text of a token is in no URL, which ends up in logs. */
async function removeToken(api: ApiClient, token: string): Promise<boolean> {
  if (ID_TEXT.test(token) && (await api.call('DELETE', `/api/tokens/${token}`)).status !== 404) return true
  return (await api.about('DELETE', '/api/token', { token })) !== undefined
}
