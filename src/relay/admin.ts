/** What operators may do with a running relay: the HTTP API and the library stand on this. */

import type { DrainingProcess } from '../handover.js'
import type { ServerAccessRules } from '../ports.js'
import type { Alarms } from './observe/alarms.js'
import type { ClientInfo, RelayTotals } from './observe/client-info.js'
import type { EventLog } from './observe/event-log.js'
import type { Page, PageQuery } from './observe/page.js'
import type { StreamInfo, StreamQuery } from './observe/streams.js'
import type { DryRun, DryRunResult } from './tokens/dry-run.js'
import type { ServerAccessChange } from './tokens/server-access.js'
import type { AddedToken, TokenChange, TokenInfo, TokenSpec, TokenStatus, TokenUsageInfo } from './tokens/token-spec.js'

export interface TokenAdmin {
  tokens(): readonly TokenStatus[]
  /**
   * @throws {LinkSocksError} ERR_TOKEN_INVALID (the message names the field), ERR_TOKEN_RESERVED, ERR_TOKEN_EXISTS,
   *   ERR_PORT_UNAVAILABLE, ERR_REVERSE_TOKEN_NOT_FOUND, ERR_TOKEN_AUTONOMY, ERR_NOT_STORED
   */
  addToken(spec: TokenSpec): Promise<AddedToken>
  /**
   * Ends the token's clients and streams at once, frees its port, and takes a reverse token's connector tokens with it.
   * @throws {LinkSocksError} ERR_TOKEN_NOT_FOUND, ERR_NOT_STORED
   */
  removeToken(token: string): Promise<void>
}

/** The whole of it. Tokens and clients are named by their public ids. */
export interface RelayAdmin extends TokenAdmin {
  readonly events: EventLog
  readonly alarms: Pick<Alarms, 'active'>
  /** Takes nothing new any more. */
  readonly draining: boolean
  /** Other processes that drain, and had the store before. Never rejects. */
  drainingProcesses(): Promise<readonly DrainingProcess[]>
  /** Whether tokens outlive the process. */
  readonly durable: boolean
  totals(): RelayTotals
  /** In the order in which they were added. */
  tokenPage(query: PageQuery): Page<TokenInfo>
  tokenInfo(id: string): TokenInfo | undefined
  /** By its text. */
  tokenId(token: string): string | undefined
  /** @throws {LinkSocksError} ERR_TOKEN_NOT_FOUND, ERR_TOKEN_INVALID (the message names the field), ERR_NOT_STORED */
  changeToken(id: string, change: TokenChange): Promise<TokenInfo>
  /**
   * Whether a destination may be reached by a token, as far as that shows without a look-up.
   * @throws {LinkSocksError} ERR_TOKEN_NOT_FOUND, ERR_TOKEN_INVALID: the policy to judge by is none
   */
  dryRun(id: string, question: DryRun): DryRunResult
  /** What went through a token. */
  tokenUsage(id: string): TokenUsageInfo | undefined
  /** Begins to count anew, once that is stored. @throws {LinkSocksError} ERR_TOKEN_NOT_FOUND, ERR_NOT_STORED */
  resetUsage(id: string): Promise<TokenUsageInfo>
  /** The rules of the server as a whole. */
  readonly access: ServerAccessRules
  /**
   * Holds from the next connection on.
   * @throws {LinkSocksError} ERR_OPTION (of a rule), ERR_NOT_STORED
   */
  changeAccess(change: ServerAccessChange): Promise<void>
  /** As removeToken(). */
  removeTokenById(id: string): Promise<void>
  /** In the order in which they came. */
  clientPage(query: PageQuery): Page<ClientInfo>
  /**
   * Ends the session of a client, which may come back.
   * @throws {LinkSocksError} ERR_CLIENT_NOT_FOUND
   */
  disconnect(id: string): void
  /** In the order in which they began, or the other way round. */
  streamPage(query: StreamQuery): Page<StreamInfo>
}
