/** The messages of the base protocol, as every other layer imports them: types, decoders and encoders. */
export {
  channelKeyOf,
  chargedBytes,
  decodeMessage,
  isGzipData,
  messageType,
  messageVersion,
  payloadBytes,
  plainData,
  readChannelKey,
} from './decode.js'
export {
  DATA_HEAD_BYTES,
  encodeAuth,
  encodeAuthResponse,
  encodeConnect,
  encodeConnector,
  encodeConnectorResponse,
  encodeConnectResponse,
  encodeDatagram,
  encodeDataHead,
  encodeDirect,
  encodeDisconnect,
  encodeLog,
  encodePartners,
} from './encode.js'
export type {
  AuthResponseMessage,
  ConnectMessage,
  ConnectorMessage,
  ConnectorResponseMessage,
  ConnectResponseMessage,
  DataMessage,
  LogMessage,
  Message,
  PartnersMessage,
} from './message-types.js'
export { ChannelProtocol, Compression, ConnectorOperation, MessageType, PROTOCOL_VERSION } from './message-types.js'
