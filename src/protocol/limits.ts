/** Limits and times of the wire, with the section of docs/protocol.md that asks for them; all others stand beside their code. */

export const KIB = 1024
export const MIB = 1024 * KIB

/** Largest message accepted from an authenticated peer (A.1). */
export const MAX_MESSAGE_BYTES = 32 * MIB
/** Largest Data payload sent in one message (A.1). */
export const MAX_DATA_BYTES = 256 * KIB
/** Largest output of one gzip member (A.3). */
export const MAX_INFLATED_BYTES = 32 * MIB
/** Largest first message of a peer that is not authenticated yet. */
export const MAX_AUTH_MESSAGE_BYTES = 1 * KIB
/** Request or status line of HTTP and its header fields together, of a WebSocket's handshake too. */
export const MAX_HTTP_HEADER_BYTES = 16 * KIB
/** From the WebSocket upgrade to a valid Auth. */
export const AUTH_TIMEOUT_MS = 10_000
/** Largest text in a Str8 (A.3). */
export const MAX_STR8_BYTES = 255
/** Largest JSON in a Log or Partners message, both ways; peers write a line or two. */
export const MAX_JSON_BYTES = 64 * KIB
/** Largest UDP payload over IPv4: 65,535 less the IP and UDP headers. */
export const MAX_DATAGRAM_BYTES = 65_507

/** Pings leave this often, from both sides (A.1). */
export const PING_INTERVAL_MS = 20_000
/** A link on which nothing arrived for this long is dead (A.1). */
export const LINK_TIMEOUT_MS = 45_000

/** Exit side: name resolution and TCP connect together (A.4). */
export const CONNECT_TIMEOUT_MS = 10_000
/** SOCKS side: from Connect to ConnectResponse (A.4). */
export const OPEN_TIMEOUT_MS = CONNECT_TIMEOUT_MS + 5_000
/** Base channels: how long data is still delivered after the local end of file (A.4). */
export const BASE_LINGER_MS = 5_000

/** Stream control: what one side may have unacknowledged at first (B.2). */
export const INITIAL_WINDOW_BYTES = 512 * KIB
/** No window exceeds this, whatever was granted (B.2). */
export const MAX_WINDOW_BYTES = 16 * MIB
/** Fast open: what may leave before the ConnectResponse (B.2). */
export const EARLY_DATA_BYTES = 64 * KIB
/** Without credit for this long a sender asks whether the other end still knows the channel (B.2). */
export const CREDIT_PROBE_MS = 30_000
/** No answer to the probe within this time resets the channel (B.2). */
export const CREDIT_PROBE_TIMEOUT_MS = 30_000

/** Base channels: bytes buffered for one local socket before the link stops being read (B.2). */
export const BASE_CHANNEL_BUFFER_BYTES = 4 * MIB
/** Base channels: the same for all channels of one link together (B.2). */
export const BASE_LINK_BUFFER_BYTES = 32 * MIB
/** Base channels: longest pause in reading a link (B.2). */
export const BASE_READ_PAUSE_MS = 2_000
/** Base channels over their limit whose local socket accepted nothing for this long are aborted (B.2). */
export const BASE_STALL_TIMEOUT_MS = 30_000

/** Connector tokens of one autonomy provider instance (A.5). */
export const MAX_CONNECTOR_TOKENS_PER_INSTANCE = 64
/** Connector tokens of one reverse token (A.5). */
export const MAX_CONNECTOR_TOKENS_PER_REVERSE_TOKEN = 1_024
/** How long the tokens of a vanished autonomy instance stay its own (A.5). */
export const INSTANCE_RESERVATION_MS = 60_000
/** How long a client waits for a ConnectorResponse (A.3). */
export const CONNECTOR_RESPONSE_TIMEOUT_MS = 10_000
/** `anonymous`: what a client without a token sends; never a token itself (A.2). */
export const ANONYMOUS_TOKEN = 'anonymous'

/** How long a session outlives its WebSocket, unless told otherwise (B.3). */
export const RESUME_TIMEOUT_MS = 60_000
/** Received messages are acknowledged after so many bytes (B.3) ... */
export const ACK_BYTES = 256 * KIB
/** ... and at the latest after this time. */
export const ACK_DELAY_MS = 200
/** What any session may have sent and unacknowledged (B.3). */
export const MIN_REPLAY_BYTES = 1 * MIB
/** The same, where the process has room. */
export const MAX_REPLAY_BYTES = 32 * MIB
