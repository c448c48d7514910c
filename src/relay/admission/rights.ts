import { LinkSocksError } from '../../errors.js'
import { AccessCheck } from '../../exit/dial/access-check.js'
import { type AccessSource, listsOf } from '../../exit/dial/access-rules.js'
import { Exit } from '../../exit/exit.js'
import { GatedTotal } from '../../exit/udp/gated-total.js'
import { type Logger, remoteText } from '../../log.js'
import type { Abortable, Traffic } from '../../mux/channel/observer.js'
import type { HeldTotals } from '../../mux/flow/held-totals.js'
import type { SessionHandler } from '../../mux/session.js'
import type { AbortOptions, Clock, Dialer, Resolve, SocketAddress, Target, TargetJudge } from '../../ports.js'
import {
  ChannelProtocol,
  type ConnectMessage,
  type ConnectorMessage,
  encodeConnectorResponse,
  type Message,
  MessageType,
} from '../../protocol/messages.js'
import { withPolicyRefs } from '../../protocol/readdress.js'
import { encodeRefusal } from '../../protocol/refusal.js'
import { judgingProviders } from '../clients/providers.js'
import type { RelayClient, StreamMode } from '../clients/relay-client.js'
import type { Streams, TrackedStream } from '../observe/streams.js'
import { isLimited, type Policed, trafficOf } from '../policies/policed-token.js'
import type { Asked, Exit as ExitKind, PolicyGate } from '../policies/policy-gate.js'
import { Splice } from '../splice/splice.js'
import type { SpliceAccess } from '../splice/splice-rules.js'
import type { InstanceTokens } from '../tokens/instance-tokens.js'
import { type ConnectorToken, type ForwardToken, policedOf, type ReverseToken, type Token } from '../tokens/tokens.js'
import { Shaping } from '../traffic/shaping.js'
import { ShapingDialer } from '../traffic/shaping-dialer.js'
import { UnknownChannels } from './unknown-channels.js'

/** What the rights of all clients of a relay stand on. */
export interface RightsContext {
  readonly clock: Clock
  /** The way out of forward clients, one for each client. */
  readonly createExitDialer: (rules: AccessSource) => Dialer
  /** For names that access rules are to judge before a provider dials. */
  readonly resolve: Resolve
  /** Milliseconds a connector's request waits for a provider. */
  readonly connectorWaitMs: number
  readonly instances: InstanceTokens
  readonly streams: Streams
  readonly gate: PolicyGate
  /** Bounds what is on its way from one client to another. */
  readonly spliced: HeldTotals
}

/** Where what one client does is logged. */
export interface ClientLogs {
  /** For what it uses: debug lines are not limited. */
  readonly used: Logger
  /** For what it asks the relay to change: no line without a limit. */
  readonly asked: Logger
  /** For the lines that it sends, which have a limit of their own. */
  readonly said: Logger
}

/** What a client may ask for. A missing method means that it may not. */
export type Rights = Pick<SessionHandler, 'connect' | 'control' | 'unknownChannel'>

/** What `client` may ask for: it follows from its token alone. */
export function rightsOf(token: Token, client: RelayClient, logs: ClientLogs, context: RightsContext): Rights {
  if (token.type === 'forward') return forwardRights(token, client, logs, context)
  if (token.type === 'connector') return connectorRights(token, client, logs, context)
  return reverseRights(token, client, logs, context)
}

/** Channels to anywhere the relay may dial. */
function forwardRights(token: ForwardToken, client: RelayClient, logs: ClientLogs, context: RightsContext): Rights {
  const { createExitDialer, streams } = context
  const tokens = policedOf(token)
  const judge = exitJudge(tokens, context.gate)
  const shaping = new Shaping(context.clock, trafficOf(tokens))
  const exit = new Exit({
    dialer: new ShapingDialer(
      createExitDialer(() => token.traits.access),
      shaping,
    ),
    log: logs.used,
    observe: ({ target }) => streams.observe({ mode: 'forward', tokenId: token.id, tokens, target, client }),
    admit: ({ protocol, target }) => {
      // who judges is asked later as well: a policy may come
      if (isLimited(tokens)) admit({ mode: 'forward', tokens, asked: askedOf(protocol, target), exit: 'here' }, context)
      return judge
    },
  })
  return {
    ...commonRights(client, context),
    connect: (message) => exit.connect(client.session, message),
    control: (message) => onControl(client, message, logs, managesNothing),
  }
}

/** Judges where a forward client's request leads by the policies that hold then. */
function exitJudge(tokens: Policed, gate: PolicyGate): TargetJudge {
  return {
    asked: (target, protocol) => (isLimited(tokens) ? gate.problemOf(tokens, protocol, target) : undefined),
    address: (asked, address, protocol) => gate.problemAt(tokens, protocol, asked, address),
    refused: (asked, address, protocol) => gate.refusedAt(tokens, protocol, asked, address),
  }
}

interface AskedOfGate {
  readonly mode: StreamMode
  readonly tokens: Policed
  readonly asked: Asked
  readonly exit: ExitKind
}

/** @throws {LinkSocksError} ERR_DIAL_NOT_ALLOWED */
function admit({ mode, tokens, asked, exit }: AskedOfGate, { gate, streams }: RightsContext): void {
  try {
    gate.admit(tokens, asked, exit)
  } catch (thrown) {
    streams.refused(mode, LinkSocksError.from(thrown, 'ERR_DIAL_NOT_ALLOWED'))
    throw thrown
  }
}

function askedOf(protocol: number, target: Target | undefined): Asked {
  return protocol === ChannelProtocol.Udp ? { protocol: 'udp' } : { protocol: 'tcp', target }
}

/** What the channels of one connector share where rules judge them. */
type Judge = Pick<SpliceAccess, 'check' | 'total'>

/** Channels to the providers of its reverse token. */
function connectorRights(token: ConnectorToken, client: RelayClient, logs: ClientLogs, context: RightsContext): Rights {
  let judge: Judge | undefined
  const shaping = new Shaping(context.clock, trafficOf(policedOf(token)))
  /** Most connector tokens have no rules. */
  const judgeOf = (): Judge => {
    judge ??= { check: new AccessCheck(context), total: new GatedTotal() }
    return judge
  }
  return {
    ...commonRights(client, context),
    connect: (message, raw) =>
      splice(token, client, { connect: message, raw }, { judgeOf, shaping, log: logs.used }, context),
    control: (message) => onControl(client, message, logs, managesNothing),
  }
}

/** No channels; connector tokens of its own, where its token has autonomy. */
function reverseRights(token: ReverseToken, client: RelayClient, logs: ClientLogs, context: RightsContext): Rights {
  const manage = (message: ConnectorMessage): ConnectorToken => context.instances.handle(token, client, message)
  return {
    ...commonRights(client, context),
    control: (message) => onControl(client, message, logs, manage),
  }
}

function commonRights(client: RelayClient, { clock }: RightsContext): Pick<Rights, 'unknownChannel'> {
  const unknown = new UnknownChannels(clock)
  return {
    unknownChannel: (raw, type) => {
      const answer = unknown.answer(raw, type)
      if (answer !== undefined) client.session.control(answer)
    },
  }
}

function splice(
  token: ConnectorToken,
  client: RelayClient,
  { connect, raw }: { readonly connect: ConnectMessage; readonly raw: Uint8Array },
  { judgeOf, shaping, log }: { readonly judgeOf: () => Judge; readonly shaping: Shaping; readonly log: Logger },
  context: RightsContext,
): void {
  const { connectorWaitMs, streams, spliced, gate } = context
  const { owner, reverse } = token
  const tokens = policedOf(token)
  const ofOwner = owner === undefined ? undefined : ({ group }: RelayClient): boolean => group === owner
  const lists = listsOf([() => token.traits.access])
  const judging = judgingProviders(tokens, lists.length === 0 ? reverse.providers : undefined, ofOwner)
  const only = judging ?? ofOwner
  const choose = ({ signal }: AbortOptions): Promise<RelayClient> =>
    reverse.providers.choose({ waitMs: connectorWaitMs, only, signal })
  const beside = (tried: readonly RelayClient[]) => reverse.providers.beside(tried, only)
  const beginning = { mode: 'agent', judged: judging !== undefined } as const
  const observe = (traffic: Traffic, channel: Abortable): TrackedStream =>
    streams.begin({ ...beginning, tokenId: token.id, tokens, target: connect.target, client }, traffic, channel)
  const { protocol } = askedOf(connect.protocol, connect.target)
  let isTold = false
  const judge = (name: string, address: SocketAddress): boolean => {
    if (gate.problemAt(tokens, protocol, name, address) === undefined) return true
    if (!isTold) gate.refusedAt(tokens, protocol, name, address)
    isTold = true
    return false
  }
  // a policy may come while an association runs
  const judged = protocol === 'udp' || isLimited(tokens) ? judge : undefined
  const access = lists.length === 0 ? undefined : { ...judgeOf(), lists, judge: judged, log }
  // where rules are, names are looked up and judged here
  const exit = judging === undefined && access === undefined ? 'blind' : 'judges'
  const allowsDatagram = (target: Target): boolean => !isLimited(tokens) || gate.allowsDatagram(tokens, target, exit)
  const named = connect.trailer?.policies !== undefined
  const addressed = (raw: Uint8Array, provider: RelayClient): Uint8Array => {
    const refs = judging === undefined ? [] : (provider.policies?.refsOf(tokens) ?? [])
    if (refs.length === 0 && !named) return raw
    return withPolicyRefs(raw, refs, connect.trailer !== undefined)
  }
  try {
    const asked = askedOf(connect.protocol, connect.target)
    if (isLimited(tokens)) admit({ mode: 'agent', tokens, asked, exit }, context)
    new Splice({
      ...{ connector: client.session, connect, raw, access, allowsDatagram, addressed },
      ...{ choose, beside, observe, held: spliced, shaping },
    })
  } catch (thrown) {
    const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
    log.warn('splice.refused', { code: error.code, reason: error.message })
    // an id in use is the peer's mistake: an answer would be taken for the living channel's
    if (error.code !== 'ERR_MESSAGE_INVALID') client.session.control(encodeRefusal(connect.channelId, error))
  }
}

/** @param manage carries out a Connector message; its error goes to the peer */
function onControl(
  { session }: RelayClient,
  message: Message,
  { asked, said }: ClientLogs,
  manage: (message: ConnectorMessage) => ConnectorToken,
): void {
  if (message.type === MessageType.Log) {
    said.debug('link.remote', { level: message.level, remote: remoteText(message.message) })
  } else if (message.type === MessageType.Connector) {
    const { requestId, operation } = message
    try {
      const changed = manage(message)
      asked.info('connector.changed', { operation, token: changed.id })
      session.control(encodeConnectorResponse({ requestId, success: true, token: changed.token }))
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_TOKEN_INVALID')
      asked.warn('connector.refused', { code: error.code, reason: error.message })
      session.control(encodeConnectorResponse({ requestId, success: false, error: error.message }))
    }
  }
}

function managesNothing(): never {
  throw new LinkSocksError('ERR_TOKEN_AUTONOMY', 'Unauthorized connector management attempt')
}
