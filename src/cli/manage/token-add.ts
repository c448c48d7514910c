import { isDeepStrictEqual } from 'node:util'
import { MAX_PORT } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { remoteText } from '../../log.js'
import { optionError, type Settings } from '../settings/environment.js'
import { type Flag, longName } from '../settings/flags.js'
import { readAccessRules, readCredentials } from '../settings/plan.js'
import { parseChoice, parseInteger, parseToken } from '../settings/values.js'
import type { ApiClient } from './api-client.js'
import {
  ACCESS_RULE,
  AUTONOMY,
  EXPIRES_AT,
  EXPIRES_IN,
  JSON_OUTPUT,
  LABEL,
  PORT,
  QUIET,
  REVERSE_TOKEN,
  SOCKS_PASSWORD,
  SOCKS_USERNAME,
  TOKEN,
  TOKEN_FILE,
  TOKEN_TYPES,
  type TokenType,
  TYPE,
} from './manage-flags.js'
import { clientUrl, parseLabel, readExpiry } from './manage-settings.js'
import { policyFlag, readPolicy } from './policy-settings.js'
import { readAddedToken, readShownPolicy } from './read-answers.js'
import { jsonText } from './table.js'
import type { Task } from './task.js'

/** Flags that one type of token alone has. */
const OF_TYPE: Readonly<Record<TokenType, readonly Flag[]>> = {
  forward: [],
  reverse: [PORT, AUTONOMY, SOCKS_USERNAME, SOCKS_PASSWORD],
  connector: [REVERSE_TOKEN],
}

/** `linksocks token add` */
export async function addToken({ api, settings, io }: Task): Promise<void> {
  const type = readType(settings)
  const body = await readBody(settings, type)
  // an older server would take the token and leave these out
  const newer = [LABEL, EXPIRES_AT, EXPIRES_IN].find((flag) => settings.given(flag))
  if (newer !== undefined && (await api.find('/api/server')) === undefined) {
    throw new LinkSocksError('ERR_HTTP', `${longName(newer)}: the server at ${api.url} is too old for it`)
  }
  if (settings.given(ACCESS_RULE) && (await api.find('/api/config/access')) === undefined) {
    throw new LinkSocksError('ERR_HTTP', `${longName(ACCESS_RULE)}: the server at ${api.url} is too old for it`)
  }
  const answer = await api.about('POST', '/api/token', body)
  if (answer === undefined) throw new LinkSocksError('ERR_HTTP', '--reverse-token: the server knows no such token')
  const added = readAddedToken(answer.body)
  if (added === undefined) throw api.foreign(answer)
  const id = idOf(answer.location)
  if (body.policy !== undefined) await confirmPolicy(api, { ...added, id }, body.policy, policyFlag(settings))
  if (settings.enabled(JSON_OUTPUT)) io.stdout.write(jsonText(answer.body))
  else if (settings.enabled(QUIET)) io.stdout.write(`${added.token}\n`)
  else io.stdout.write(reportOf({ ...added, type, id, url: api.url, body }))
}

function readType(settings: Settings): TokenType {
  const type = settings.value(TYPE, (text) => parseChoice(text, TOKEN_TYPES))
  if (type === undefined) throw optionError('--type', 'is needed: forward, reverse or connector')
  for (const [owner, flags] of Object.entries(OF_TYPE)) {
    const foreign = owner === type ? undefined : flags.find((flag) => settings.given(flag))
    if (foreign !== undefined) throw optionError(longName(foreign), `is for --type ${owner}`)
  }
  return type
}

async function readBody(settings: Settings, type: TokenType): Promise<Readonly<Record<string, unknown>>> {
  return {
    type,
    token: await settings.secret(TOKEN, parseToken, TOKEN_FILE),
    label: settings.value(LABEL, parseLabel),
    expires_at: readExpiry(settings),
    rules: readAccessRules(settings)?.map(({ addresses, ports }) => ({ addrs: addresses, ports })),
    policy: readPolicy(settings),
    ...(type === 'reverse' ? await readReverse(settings) : {}),
    ...(type === 'connector' ? { reverse_token: await readReverseToken(settings) } : {}),
  }
}

async function readReverse(settings: Settings): Promise<Readonly<Record<string, unknown>>> {
  const own = [PORT, SOCKS_USERNAME, SOCKS_PASSWORD, ACCESS_RULE].find((flag) => settings.given(flag))
  if (settings.enabled(AUTONOMY)) {
    if (own !== undefined) throw optionError(longName(own), 'cannot be combined with --connector-autonomy')
    return { allow_manage_connector: true }
  }
  return {
    port: settings.value(PORT, (text) => parseInteger(text, 1, MAX_PORT, 'a port')),
    ...(await readCredentials(settings)),
  }
}

async function readReverseToken(settings: Settings): Promise<string> {
  const token = await settings.secret(REVERSE_TOKEN, parseToken)
  if (token === undefined) throw optionError('--reverse-token', 'is needed for --type connector')
  return token
}

/**
 * An older server takes a token and leaves its policy out: then the token goes again.
 * @param flag that gave the policy, for the message
 */
async function confirmPolicy(
  api: ApiClient,
  { token, id }: Pick<Added, 'token' | 'id'>,
  policy: unknown,
  flag: string,
): Promise<void> {
  const problem = await policyProblem(api, id, policy)
  if (problem === undefined) return
  try {
    // 404: it is gone as well
    if (id === undefined) await api.call('DELETE', '/api/token', { token })
    else await api.call('DELETE', `/api/tokens/${id}`)
  } catch (cause) {
    const { message } = LinkSocksError.from(cause, 'ERR_HTTP')
    const named = id === undefined ? 'the token' : `token ${id}`
    throw new LinkSocksError(
      'ERR_HTTP',
      `${flag}: ${problem}, and ${named} could not be removed, so that it is there without a limit: ${message}`,
    )
  }
  throw new LinkSocksError('ERR_HTTP', `${flag}: ${problem}; the token was removed again`)
}

/** Why the policy of the token is not known to hold. */
async function policyProblem(api: ApiClient, id: string | undefined, policy: unknown): Promise<string | undefined> {
  try {
    const shown = id === undefined ? undefined : readShownPolicy(await api.find(`/api/tokens/${id}`))
    if (shown == null) return `the server at ${api.url} is too old for policies: it took the token without this one`
    if (isDeepStrictEqual(shown, policy)) return undefined
    return `the server at ${api.url} keeps another policy than it was given`
  } catch (thrown) {
    return `the policy could not be read back (${LinkSocksError.from(thrown, 'ERR_HTTP').message})`
  }
}

/** The end of `Location: /api/tokens/{id}`, which newer servers send. */
function idOf(location: string | undefined): string | undefined {
  return /\/api\/tokens\/([\da-f]{24})$/.exec(location ?? '')?.[1]
}

interface Added {
  readonly type: TokenType
  readonly token: string
  readonly port?: number | null | undefined
  readonly id: string | undefined
  readonly url: string
  readonly body: Readonly<Record<string, unknown>>
}

const COMMAND: Readonly<Record<TokenType, string>> = { forward: 'client', reverse: 'provider', connector: 'connector' }

function reportOf({ type, token, port, id, url, body }: Added): string {
  const lines = [`token  ${remoteText(token)}`]
  if (id !== undefined) lines.push(`id     ${id}`)
  if (typeof port === 'number') lines.push(`port   ${port} (proxy port of the server)`)
  // what a terminal can't show as it is can't be copied from it
  if (remoteText(token) === token) {
    const more = body.allow_manage_connector === true ? ' -c CONNECTOR-TOKEN' : ''
    const command = `linksocks ${COMMAND[type]} -u ${quote(clientUrl(url))}${more}`
    lines.push('', 'On the other machine:', `  LINKSOCKS_TOKEN=${quote(token)} ${command}`)
  }
  return `${lines.join('\n')}\n`
}

/** `text` as one word of a POSIX shell. */
function quote(text: string): string {
  return /^[\w:/.%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
