/** The public API of the package. */
export { type ErrorCode, LinkSocksError } from './errors.js'
export { defaultEgressPolicy } from './exit/dial/policy.js'
export { type LogFields, type Logger, silentLogger } from './log.js'
export { Client } from './node/client.js'
export type { TlsOptions } from './node/connect/server-socket.js'
export type {
  AcmeOptions,
  ApiKey,
  CertificateFiles,
  ClientOptions,
  ServerOptions,
  ServerTlsOptions,
  SocksListenOptions,
} from './node/options.js'
export { Server } from './node/server.js'
export { createLogger, type LogDestination, type LoggerOptions } from './node/system/pino-logger.js'
export type {
  EgressRule,
  PolicyHours,
  PolicyQuota,
  PolicyRate,
  QuotaDirection,
  QuotaPeriod,
  TokenPolicy,
  Weekday,
} from './policy-fields.js'
export type { AbortOptions, AccessRule, EgressPolicy, SocketAddress } from './ports.js'
export type {
  AddedToken,
  ConnectorTokenSpec,
  ForwardTokenSpec,
  ForwardTokenStatus,
  ReverseTokenSpec,
  ReverseTokenStatus,
  TokenSpec,
  TokenStatus,
} from './relay/tokens/token-spec.js'
