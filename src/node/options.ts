import type { ApiKey } from '../api/keys.js'
import type { Logger } from '../log.js'
import type { AccessRule, EgressPolicy, ProxyProtocol } from '../ports.js'
import type { TokenSpec } from '../relay/tokens/token-spec.js'
import type { TlsOptions } from './connect/server-socket.js'
import type { PingOptions, ResumeOptions } from './link-options.js'

export type { ApiKey } from '../api/keys.js'

/** Port of a server that is given none. */
export const DEFAULT_PORT = 8_765
/** Port of a SOCKS5 listener that is given none. */
export const DEFAULT_SOCKS_PORT = 9_870
/** Address of a SOCKS5 listener that is given none. */
export const DEFAULT_SOCKS_HOST = '127.0.0.1'
/** Where a client connects that is given no server. */
export const DEFAULT_SERVER_URL = `ws://localhost:${DEFAULT_PORT}`
/** Longest time an option or a flag takes: 24 h. */
export const MAX_DURATION_MS = 24 * 3_600_000

/** Options of both ends. */
interface CommonOptions extends PingOptions, ResumeOptions {
  /** @default silent */
  readonly logger?: Logger | undefined
  /** Logs the type of every message, at level debug. @default false */
  readonly traceMessages?: boolean | undefined
  /** Exit proxy: `socks5://[user:password@]host:port` or `http://...`. @default none, destinations are dialled directly */
  readonly exitProxy?: string | undefined
  /** Judges every address about to be dialled or sent to. @default refuses unspecified, multicast, broadcast and link-local */
  readonly egressPolicy?: EgressPolicy | undefined
  /**
   * Lets what is dialled for others reach the ports of this process's servers and clients (HTTP, SOCKS, metrics) and Node's inspector
   * at this machine's own addresses, which is REP 2 otherwise. Other listeners of the process are not meant. @default false
   */
  readonly allowOwnPorts?: boolean | undefined
  /**
   * What this end dials and sends datagrams to for others, on top of `egressPolicy`: on a server for its forward clients, on a
   * provider for the server. Names are judged by the addresses they resolve to. @default none: no limit
   */
  readonly dialRules?: readonly AccessRule[] | undefined
  /** Milliseconds after which an idle UDP association of the exit side is closed. @default 300_000 */
  readonly udpTimeoutMs?: number | undefined
  /** Answer SOCKS clients before the destination answered, where the link keeps early data. @default false */
  readonly fastOpen?: boolean | undefined
}

export interface CloseOptions {
  /** Milliseconds that streams may take to end by themselves; nothing new begins meanwhile. @default 0 */
  readonly drainMs?: number | undefined
  /** Milliseconds after which a stream that has carried nothing is not waited for any more. @default 2_000 */
  readonly drainIdleMs?: number | undefined
}

/** A certificate and its key, in PEM files that are read again when they change. */
export interface CertificateFiles {
  /** The server's own certificate, with its chain after it. */
  readonly certFile: string
  /** Not encrypted; may be the same file. */
  readonly keyFile: string
}

export interface ServerTlsOptions {
  /** One is chosen by the name that a client asks for; the first is for those that ask for none. @default none */
  readonly certificates?: readonly CertificateFiles[] | undefined
  /** PEM file of authorities that sign certificates of clients. @default clients are not asked for one */
  readonly clientCaFile?: string | undefined
  /** Whether clients without one are refused. @default 'required' */
  readonly clientAuth?: 'required' | 'optional' | undefined
}

/** Certificates that a server gets and renews by itself (RFC 8555). */
export interface AcmeOptions {
  /** Host names, each of which gets a certificate. */
  readonly domains: readonly string[]
  /** Whom the authority may write to. @default nobody */
  readonly email?: string | undefined
  /** Of the authority. @default Let's Encrypt */
  readonly directory?: string | undefined
  /**
   * Where names are validated by HTTP (HTTP-01), by its address or by the descriptor of a socket that was passed; `false`: by TLS alone
   * (TLS-ALPN-01). @default 0.0.0.0:80, if it is free
   */
  readonly httpListen?: { readonly host: string; readonly port: number } | { readonly fd: number } | false | undefined
}

export interface ServerOptions extends CommonOptions, ProxyPortOptions {
  /** Address of the HTTP and WebSocket port. @default '0.0.0.0' */
  readonly host?: string | undefined
  /** 0 lets the system pick. @default 8765, with `acme` 443 */
  readonly port?: number | undefined
  /**
   * Addresses in place of `host` and `port`: `ws://HOST:PORT`, `wss://HOST:PORT` with TLS, `ws+unix:/PATH`, and `ws+fd:3` or `wss+fd:3`
   * for the descriptor of a listening TCP or Unix stream socket that was passed to this process. Peers of a Unix socket count as trusted
   * proxies. The server closes the descriptors that it is given, at the latest with itself. @default that of `host` and `port`, with TLS
   * where there are certificates
   */
  readonly listen?: readonly string[] | undefined
  /** @default no TLS, or with `acme` alone */
  readonly tls?: ServerTlsOptions | undefined
  /** Needs `dataDir`, and the optional packages @peculiar/x509 and reflect-metadata. @default none */
  readonly acme?: AcmeOptions | undefined
  /** Tokens to begin with. @default none */
  readonly tokens?: readonly TokenSpec[] | undefined
  /** Switches the HTTP API on. @default off */
  readonly apiKey?: string | undefined
  /** More keys for the HTTP API, each with a name for the audit line. @default none */
  readonly apiKeys?: readonly ApiKey[] | undefined
  /** Directory that keeps the API's tokens across restarts; made if it is not there. @default none: tokens are kept in memory only */
  readonly dataDir?: string | undefined
  /** Milliseconds that another process may keep the data directory before that is an error. @default 0; 90_000 with `takeOver`, and where sockets are passed */
  readonly dataDirWaitMs?: number | undefined
  /**
   * Asks the process that has the data directory to end, as SIGTERM does, once this one is ready to go on in its place: it drains, while this
   * one serves. Linux only. @default false
   */
  readonly takeOver?: boolean | undefined
  /** 32 bytes as 64 hex digits or base64, under which secrets are encrypted. @default the file `data.key` in the data directory, made with the first start */
  readonly dataKey?: string | undefined
  /** What `/metrics` asks for, besides the API keys. @default none */
  readonly metricsKey?: string | undefined
  /** An address of its own for `/metrics`, without a key, or the descriptor of a socket that was passed. @default none */
  readonly metricsListen?: { readonly host: string; readonly port: number } | { readonly fd: number } | undefined
  /** Address of the proxy ports of reverse tokens. @default '127.0.0.1' */
  readonly socksHost?: string | undefined
  /**
   * Descriptors of listening TCP sockets that were passed to this process, each for the reverse token whose port it is bound to, at the
   * address that it is bound to. Connections wait in its queue until the first provider, but not longer than 10 s. @default none
   */
  readonly socksSockets?: readonly number[] | undefined
  /**
   * What the proxy ports of reverse tokens without rules of their own let through, UDP included. A side that is given here or by
   * `dialRules` is there again at each start, whatever the API changed meanwhile. @default none: no limit
   */
  readonly entryRules?: readonly AccessRule[] | undefined
  /** Open proxy ports at once instead of with the first provider. @default false */
  readonly socksNowait?: boolean | undefined
  /** Where proxy ports are allocated, both ends included. @default [10_000, 19_999] */
  readonly portRange?: readonly [number, number] | undefined
  /** Milliseconds a connector's request waits for a provider. @default 5_000 */
  readonly connectorWaitMs?: number | undefined
  /** CIDRs of reverse proxies whose X-Forwarded-For is believed. @default none */
  readonly trustedProxies?: readonly string[] | undefined
}

/** What every proxy port has. */
export interface ProxyPortOptions {
  /** What a port serves, recognised by the first bytes of each connection. @default all: socks5, socks4, http */
  readonly proxyProtocols?: readonly ProxyProtocol[] | undefined
  /**
   * Names by which browsers may ask a port for its help and its PAC file, besides `localhost` and addresses; others are refused, for a
   * page could lead there by a name of its own. @default none
   */
  readonly pacHosts?: readonly string[] | undefined
  /**
   * Takes datagrams of a UDP association from one port of its client alone: the one that the client named, if with its own address,
   * else the first one seen. Without it answers go to the port that was used last, which other users of the client's
   * machine could make theirs. @default false
   */
  readonly udpStrictPort?: boolean | undefined
}

/** The local proxy port of a forward client or connector: SOCKS5, SOCKS4a and HTTP. */
export interface SocksListenOptions extends ProxyPortOptions {
  /** @default '127.0.0.1' */
  readonly host?: string | undefined
  /** 0 lets the system pick. @default 9870 */
  readonly port?: number | undefined
  /**
   * Descriptors of listening TCP sockets that were passed to this process, in place of `host` and `port`: several for one port at
   * several addresses. Connections wait in their queues until the first link, but not longer than 10 s. The client closes them, at the latest with
   * itself. @default none
   */
  readonly sockets?: readonly number[] | undefined
  /** Both or neither. */
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Open the port before the first link is up. @default false */
  readonly nowait?: boolean | undefined
}

export interface ClientOptions extends CommonOptions {
  /**
   * `host`, `http(s)://` or `ws(s)://`; `/socket` when there is no path. Of several, up to 16, each attempt to connect tries
   * one after the other until one admits. @default 'ws://localhost:8765'
   */
  readonly url?: string | readonly string[] | undefined
  /** @default the reserved word `anonymous` */
  readonly token?: string | undefined
  /** Offer this machine's network (provider) instead of using the far one. @default false */
  readonly reverse?: boolean | undefined
  /** Autonomy providers: connector tokens to keep registered; '' lets the server generate one. @default none */
  readonly connectorTokens?: readonly string[] | undefined
  /** Opens a local proxy port; absent = none, use dial(). */
  readonly socks?: SocksListenOptions | undefined
  /**
   * What the proxy port lets through, UDP included; dial() is not limited. Names are looked up here, and one allowed address is sent
   * in their place. @default none: no limit
   */
  readonly entryRules?: readonly AccessRule[] | undefined
  /** Connect again after the link was lost. @default true */
  readonly reconnect?: boolean | undefined
  /** Try again after a refused token, even at first. @default false */
  readonly retryAuth?: boolean | undefined
  /** Links to the server, 1..64. @default 1 */
  readonly threads?: number | undefined
  /** Proxy on the way to the server: `http://` or `socks5://`. Wins over `proxyEnv`. */
  readonly serverProxy?: string | undefined
  /** Where http_proxy, https_proxy, all_proxy and no_proxy are looked up. @default none */
  readonly proxyEnv?: Readonly<Record<string, string | undefined>> | undefined
  readonly tls?: TlsOptions | undefined
  /** Further headers of the WebSocket handshake. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Send the token in the first message instead of its hash in the URL. @default false */
  readonly authInBand?: boolean | undefined
}
