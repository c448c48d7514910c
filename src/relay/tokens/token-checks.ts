/** What operators may give a token. Each throws a LinkSocksError with ERR_TOKEN_INVALID that names the field. */
import { isPort, MAX_PORT } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { type AccessList, accessList } from '../../exit/dial/access-rules.js'
import { type CompiledPolicy, compiledPolicy } from '../../policy/compiled-policy.js'
import type { TokenPolicy } from '../../policy-fields.js'
import type { AccessRule, Credentials, TokenRecord } from '../../ports.js'
import { fitsCredential, MAX_CREDENTIAL_BYTES } from '../../socks/codec.js'
import type { PolicyChange, TokenChange, TokenSpec } from './token-spec.js'
import { checkLabel } from './token-text.js'
import { recordOf, type Token, type TokenTraits } from './tokens.js'

/** The last moment that RFC 3339 can write. */
const MAX_TIME = 253_402_300_799_999

export function checkPort(port: number | undefined): void {
  if (port === undefined || isPort(port)) return
  throw invalid(`port must be an integer from 1 to ${MAX_PORT}`)
}

/**
 * @param time Unix milliseconds; without it the time of expiry may be over
 * @param before the policy that there was: what of it stays is the same object
 */
export function traitsOf(
  {
    label,
    expiresAt,
    enabled = true,
    rules,
    policy,
  }: Pick<TokenSpec, 'label' | 'expiresAt' | 'rules' | 'policy'> & { enabled?: boolean },
  time?: number,
  before?: CompiledPolicy,
): TokenTraits {
  if (label !== undefined) checkLabel(label)
  if (expiresAt !== undefined && time !== undefined) checkExpiry(expiresAt, time)
  return { label, expiresAt, enabled, access: accessOf(rules), policy: policyOf(policy, before) }
}

/** Of a stored token. @returns why it can't be used on this machine, which may lack the time zone of its hours */
export function storedTraits(record: TokenRecord): TokenTraits | string {
  try {
    return traitsOf(record)
  } catch (thrown) {
    return LinkSocksError.from(thrown, 'ERR_TOKEN_INVALID').message
  }
}

function accessOf(rules: readonly AccessRule[] | undefined): AccessList | undefined {
  try {
    return accessList(rules)
  } catch (thrown) {
    throw invalid(LinkSocksError.from(thrown, 'ERR_TOKEN_INVALID').message)
  }
}

/** @returns `undefined` for a policy that sets no limit */
export function policyOf(policy: TokenPolicy | undefined, before?: CompiledPolicy): CompiledPolicy | undefined {
  try {
    return compiledPolicy(policy, before)
  } catch (thrown) {
    throw invalid(`policy: ${LinkSocksError.from(thrown, 'ERR_TOKEN_INVALID').message}`)
  }
}

function checkExpiry(expiresAt: number, time: number): void {
  if (!Number.isInteger(expiresAt) || expiresAt > MAX_TIME) throw invalid('expires_at is not a time')
  if (expiresAt <= time) throw invalid('expires_at must be in the future')
}

export function credentialsOf({
  username,
  password,
}: {
  username?: string | undefined
  password?: string | undefined
}): Credentials | undefined {
  if (username === undefined && password === undefined) return undefined
  if (username === undefined || password === undefined) {
    throw invalid('username and password go together: give both or neither')
  }
  for (const [field, text] of Object.entries({ username, password })) {
    if (fitsCredential(text)) continue
    throw invalid(`${field} must be 1 to ${MAX_CREDENTIAL_BYTES} bytes of UTF-8`)
  }
  return { username, password }
}

/** What the store is to keep of `token` after `change`; at `time`, in Unix milliseconds. */
export function changedRecord(token: Token, change: TokenChange, time: number): TokenRecord {
  const { label, enabled, expiresAt, username, password, policy } = change
  if (typeof expiresAt === 'number') checkExpiry(expiresAt, time)
  if (typeof label === 'string') checkLabel(label)
  const record = recordOf(token)
  const credentials = username !== undefined || password !== undefined
  if (credentials && (token.type !== 'reverse' || token.autonomy)) {
    throw invalid('username and password are for reverse tokens with a proxy port')
  }
  const changed = {
    ...record,
    ...(label !== undefined && { label: label ?? undefined }),
    ...(enabled !== undefined && { enabled }),
    ...(expiresAt !== undefined && { expiresAt: expiresAt ?? undefined }),
    ...(policy !== undefined && { policy: changedPolicy(record.policy, policy) }),
    ...(credentials && { username: username ?? undefined, password: password ?? undefined }),
  }
  credentialsOf(changed)
  return changed
}

function changedPolicy(policy: TokenPolicy | undefined, change: PolicyChange | null): TokenPolicy | undefined {
  if (change === null) return undefined
  const fields = Object.entries({ ...policy, ...withoutAbsent(change) }).filter(([, value]) => value !== null)
  return policyOf(Object.fromEntries(fields))?.policy
}

/** An absent field stays as it is. */
function withoutAbsent(change: PolicyChange): PolicyChange {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
}

function invalid(message: string): LinkSocksError {
  return new LinkSocksError('ERR_TOKEN_INVALID', message)
}
