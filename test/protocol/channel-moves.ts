import { oracleEncode } from './oracle.js'

/** One message of each type by which releases since 1.10 move a channel to their direct path and back. */
export function channelMoves(channelId: Uint8Array): readonly Uint8Array[] {
  return [
    oracleEncode({ type: 14, channelId, protocol: 'tcp', peerSession: new Uint8Array(16) }),
    oracleEncode({ type: 15, channelId, reason: 'the path is gone' }),
    oracleEncode({ type: 16, channelId, success: false, error: 'unknown channel' }),
    oracleEncode({ type: 17, channelId, sequence: 1 }),
  ]
}
