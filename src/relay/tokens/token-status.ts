import type { QuotaPeriod } from '../../policy-fields.js'
import type { PolicyReason } from '../policies/policed-token.js'
import type { Bytes } from '../traffic/usage.js'
import type { TokenInfo, TokenStatus, TokenUsageInfo } from './token-spec.js'
import { stateOf, type Token } from './tokens.js'

/** The documented status; connector tokens stand with their reverse token. */
export function statusOf(token: Token): TokenStatus | undefined {
  const common = { token: token.token, clientsCount: token.clients.size }
  if (token.type === 'forward') return { ...common, type: 'forward' }
  if (token.type === 'connector') return undefined
  const connectorTokens = Array.from(token.connectors, (connector) => connector.token)
  const { port } = token
  if (port === undefined) return { ...common, type: 'reverse', connectorTokens }
  const { listening, error, protocols: proxyProtocols } = port
  return { ...common, type: 'reverse', connectorTokens, port: port.port, proxyProtocols, listening, error }
}

/**
 * @param time Unix milliseconds
 * @param durable whether the store outlives the process
 */
export function infoOf(token: Token, time: number, durable: boolean): TokenInfo {
  const { id, number, type, source, createdAt, clients, suspended } = token
  const { label, enabled, expiresAt, access, policy } = token.traits
  let streams = 0
  for (const client of [...clients, ...suspended]) streams += client.streams
  return {
    ...{ id, number, type, token: token.token, label, enabled, expiresAt, source, createdAt },
    state: stateOf(token, time),
    rules: access?.rules ?? [],
    policy: policy?.policy,
    quota: token.use.traffic.quotaState(),
    stored: durable && source === 'api',
    clients: clients.size,
    streams,
    ...detailsOf(token),
  }
}

/** @param time Unix milliseconds */
export function usageOf(
  { id, use }: Token,
  refusals: Readonly<Record<PolicyReason, number>>,
  time: number,
): TokenUsageInfo {
  const { traffic } = use
  const { usage, throttled, droppedDatagrams } = traffic
  const of = (period: QuotaPeriod): Readonly<Bytes> => ({ ...usage.of(period, time) })
  return {
    ...{ id, since: usage.since, total: of('total'), month: of('month'), day: of('day') },
    rate: { up: traffic.bytesPerSecond('up'), down: traffic.bytesPerSecond('down') },
    ...{ throttled: { ...throttled }, droppedDatagrams, refusals, quota: traffic.quotaState() },
  }
}

function detailsOf(token: Token): Pick<TokenInfo, 'reverse' | 'reverseId'> {
  if (token.type === 'forward') return {}
  if (token.type === 'connector') return { reverseId: token.reverse.id }
  const { autonomy, port, traits } = token
  return {
    reverse: {
      autonomy,
      port: port?.port,
      proxyProtocols: port?.protocols ?? [],
      listening: port?.listening ?? false,
      portError: port?.error,
      username: traits.credentials?.username,
      connectors: Array.from(token.connectors, (connector) => connector.id),
    },
  }
}
