import type { Target } from '../ports.js'
import type { Trailer } from './trailer.js'

/** What every message of ours begins with; the major version is the upper half (A.1). */
export const PROTOCOL_VERSION = 0x01

/** Version and Type, with which every message begins (A.3). */
export const MESSAGE_HEADER_BYTES = 2

/** The Type byte (A.3). */
export const MessageType = {
  Auth: 1,
  AuthResponse: 2,
  Connect: 3,
  Data: 4,
  ConnectResponse: 5,
  Disconnect: 6,
  Connector: 7,
  ConnectorResponse: 8,
  Log: 9,
  Partners: 10,
  DirectCapabilities: 11,
  DirectRendezvous: 12,
  DirectStatus: 13,
  ChannelBind: 14,
  ChannelMigrate: 15,
  ChannelMigrateAck: 16,
  ChannelDataAck: 17,
  /** Of a session that survives its WebSocket (B.3), never of a channel; far from the numbers that A.3 grows towards. */
  SessionControl: 0xf0,
  /** Where a token leads, for the provider that is to judge by it (B.4). */
  Policy: 0xf1,
} as const

/** The Compression byte of Data; `Control` marks a frame of stream control (B.2). */
export const Compression = { None: 0, Gzip: 1, Control: 0x10 } as const

/** The Protocol byte of Connect and Data. */
export const ChannelProtocol = { Tcp: 1, Udp: 2 } as const

/** The Operation byte of Connector. */
export const ConnectorOperation = { Add: 1, Remove: 2 } as const

/** In-band authentication: the plain token, a secret. */
export interface AuthMessage {
  readonly type: typeof MessageType.Auth
  readonly token: string
  readonly reverse: boolean
  /** 16 bytes; nil when the client has no instance id. Acts as a secret. */
  readonly instance: Uint8Array
  readonly trailer?: Trailer | undefined
}

export interface AuthResponseMessage {
  readonly type: typeof MessageType.AuthResponse
  readonly success: boolean
  /** On failure; text of the peer. */
  readonly error?: string | undefined
  /** On success; a token that the server assigned, a secret. */
  readonly token?: string | undefined
  /** On success. */
  readonly trailer?: Trailer | undefined
}

export interface ConnectMessage {
  readonly type: typeof MessageType.Connect
  /** {@link ChannelProtocol}; another value is decoded so that it can be answered. */
  readonly protocol: number
  readonly channelId: Uint8Array
  /** With tcp always, else never. The port may be 0. */
  readonly target?: Target | undefined
  /** The sender believes that the channel is there already, on a link that was lost: nothing is to be opened. */
  readonly resume?: true | undefined
  /** With tcp or udp. */
  readonly trailer?: Trailer | undefined
}

export interface DataMessage {
  readonly type: typeof MessageType.Data
  /** {@link ChannelProtocol}, or a value nobody knows. */
  readonly protocol: number
  /** A view of the message, as `data`. */
  readonly channelId: Uint8Array
  /** {@link Compression}, or a value nobody knows. */
  readonly compression: number
  /** A view of the message. */
  readonly data: Uint8Array
  /** With udp: Address and Port; the host may be empty. */
  readonly source?: Target | undefined
  /** With udp: TargetAddress and TargetPort; the host may be empty. */
  readonly target?: Target | undefined
}

export interface ConnectResponseMessage {
  readonly type: typeof MessageType.ConnectResponse
  readonly success: boolean
  readonly channelId: Uint8Array
  /** On failure; text of the peer. */
  readonly error?: string | undefined
  readonly trailer?: Trailer | undefined
}

export interface DisconnectMessage {
  readonly type: typeof MessageType.Disconnect
  readonly channelId: Uint8Array
  /** `undefined`, empty or `EOF` is an orderly end (A.4). Text of the peer. */
  readonly error?: string | undefined
}

export interface ConnectorMessage {
  readonly type: typeof MessageType.Connector
  readonly requestId: Uint8Array
  /** Empty in an Add: the server generates one. */
  readonly token: string
  /** {@link ConnectorOperation}, or a value nobody knows. */
  readonly operation: number
}

export interface ConnectorResponseMessage {
  readonly type: typeof MessageType.ConnectorResponse
  readonly requestId: Uint8Array
  readonly success: boolean
  /** On failure; text of the peer. */
  readonly error?: string | undefined
  /** On success, if the server sent one. */
  readonly token?: string | undefined
}

export interface LogMessage {
  readonly type: typeof MessageType.Log
  /** trace, debug, info, warn or error. */
  readonly level: string
  /** Text of the peer. */
  readonly message: string
}

export interface PartnersMessage {
  readonly type: typeof MessageType.Partners
  /** An integer of at least 0. */
  readonly count: number
}

/** Signalling between peers (A.6), not interpreted here. */
export interface DirectMessage {
  readonly type:
    | typeof MessageType.DirectCapabilities
    | typeof MessageType.DirectRendezvous
    | typeof MessageType.DirectStatus
  /** JSON, unread; a view of the message. */
  readonly data: Uint8Array
}

/** A channel was opened on the direct path of its two clients (A.7). */
export interface ChannelBindMessage {
  readonly type: typeof MessageType.ChannelBind
  readonly channelId: Uint8Array
  readonly protocol: 'tcp' | 'udp'
  /** Of the other client; nil when its sender does not know it. */
  readonly peerSession: Uint8Array
}

/** A channel leaves the direct path (A.7). */
export interface ChannelMigrateMessage {
  readonly type: typeof MessageType.ChannelMigrate
  readonly channelId: Uint8Array
  /** Text of the peer. */
  readonly reason?: string | undefined
}

export interface ChannelMigrateAckMessage {
  readonly type: typeof MessageType.ChannelMigrateAck
  readonly channelId: Uint8Array
  readonly success: boolean
  /** Text of the peer. */
  readonly error?: string | undefined
}

/** One Data message with a Sequence was taken (A.7). */
export interface ChannelDataAckMessage {
  readonly type: typeof MessageType.ChannelDataAck
  readonly channelId: Uint8Array
  readonly sequence: number
}

/** Any message of the protocol, told apart by `type`. */
export type Message =
  | AuthMessage
  | AuthResponseMessage
  | ConnectMessage
  | DataMessage
  | ConnectResponseMessage
  | DisconnectMessage
  | ConnectorMessage
  | ConnectorResponseMessage
  | LogMessage
  | PartnersMessage
  | DirectMessage
  | ChannelBindMessage
  | ChannelMigrateMessage
  | ChannelMigrateAckMessage
  | ChannelDataAckMessage
