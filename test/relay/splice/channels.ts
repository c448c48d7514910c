import { ControlOp, decodeControl, encodeControl } from '../../../src/protocol/control.js'
import {
  ChannelProtocol,
  Compression,
  encodeConnect,
  encodeConnectResponse,
  encodeDataHead,
  encodeDisconnect,
  MessageType,
} from '../../../src/protocol/messages.js'
import { bytesOf, concat } from '../../support/test-peer.js'
import { type Peer, uuid, type World } from '../world.js'

export const TARGET = { host: 'one.test', port: 80 }

export const connectTcp = (channelId: Uint8Array, streamControl?: number): Uint8Array =>
  encodeConnect({
    protocol: ChannelProtocol.Tcp,
    channelId,
    target: TARGET,
    trailer: streamControl === undefined ? undefined : { streamControl },
  })

export const accept = (channelId: Uint8Array, streamControl?: number): Uint8Array =>
  encodeConnectResponse({
    success: true,
    channelId,
    trailer: streamControl === undefined ? undefined : { streamControl },
  })

export const data = (channelId: Uint8Array, payload: Uint8Array | string): Uint8Array => {
  const body = bytesOf(payload)
  return concat(encodeDataHead(channelId, body.length), body)
}

export const windowUpdate = (channelId: Uint8Array, credit: number): Uint8Array =>
  encodeControl(channelId, { op: ControlOp.WindowUpdate, credit })

export const disconnect = (channelId: Uint8Array, error?: string): Uint8Array => encodeDisconnect({ channelId, error })

/** All Data that a peer got on its channels, as text. */
export const textOf = (peer: Peer): string =>
  peer
    .of(MessageType.Data)
    .filter(({ compression }) => compression !== Compression.Control)
    .map(({ data: bytes }) => new TextDecoder().decode(bytes))
    .join('')

/** RESET codes and Disconnect texts that a peer got, in order. */
export const endingsOf = (peer: Peer): (number | string)[] =>
  peer.messages.flatMap((message): (number | string)[] => {
    if (message.type === MessageType.Disconnect) return [message.error ?? '']
    if (message.type !== MessageType.Data || message.compression !== Compression.Control) return []
    const frame = decodeControl(message.data)
    return frame?.op === ControlOp.Reset ? [frame.code] : []
  })

/** One open channel between a connector and a provider that were admitted before. */
export async function openChannel(
  connector: Peer,
  provider: Peer,
  { offer, grant }: { offer?: number; grant?: number } = {},
): Promise<Uint8Array> {
  const id = uuid()
  await connector.send(connectTcp(id, offer))
  await provider.send(accept(id, grant))
  connector.clear()
  provider.clear()
  return id
}

/** Whether the relay has forgotten channel `id` of each of `peers`. */
export async function expectForgotten(world: World, peers: readonly Peer[], id: Uint8Array): Promise<boolean> {
  const answers: boolean[] = []
  for (const peer of peers) {
    // a session that knows the channel passes Data on; one that doesn't answers it
    await world.clock.advanceAsync(1_000)
    peer.clear()
    await peer.send(data(id, '?'))
    answers.push(peer.of(MessageType.Disconnect).some(({ error }) => error === 'unknown channel'))
  }
  return answers.every(Boolean)
}
