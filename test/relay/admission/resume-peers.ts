import { encodeAuth, MessageType } from '../../../src/protocol/messages.js'
import type { Trailer } from '../../../src/protocol/trailer.js'
import { NIL_UUID } from '../../../src/protocol/uuid.js'
import { settle } from '../../support/manual-clock.js'
import type { Peer, World } from '../world.js'

export interface ResumeOptions {
  /** @default a new session is asked for */
  readonly id?: Uint8Array | undefined
  /** Messages received so far. @default none is told */
  readonly received?: number | undefined
  readonly instance?: Uint8Array
  readonly reverse?: boolean
  /** It can judge by policies. */
  readonly knowsPolicies?: boolean
  /** Where it comes from. @default that of every peer */
  readonly address?: string | undefined
  /** Of its certificate. @default it has none */
  readonly subject?: string | undefined
}

/** A peer that asks for a session that survives its WebSocket, or to go on with one. */
export async function joinResumable(world: World, token: string, options: ResumeOptions = {}): Promise<Peer> {
  const { id = NIL_UUID, received, instance = NIL_UUID, reverse = false, knowsPolicies, address, subject } = options
  const peer = await world.attempt('', address, subject)
  await peer.send(encodeAuth({ token, reverse, instance, trailer: { sessionId: id, received, knowsPolicies } }))
  return peer
}

/** What the relay told in its answer. */
export function answerOf(peer: Peer): Trailer {
  const answer = peer.of(MessageType.AuthResponse)[0]
  if (answer?.trailer === undefined) throw new Error('there was no answer with a trailer')
  return answer.trailer
}

/** The id that the relay gave. */
export function idOf(peer: Peer): Uint8Array {
  const { sessionId } = answerOf(peer)
  if (sessionId === undefined) throw new Error('there was no id')
  return sessionId
}

/** Session messages that came: all behind the answer but SessionControl. */
export function countOf(peer: Peer): number {
  const uncounted: readonly (number | undefined)[] = [MessageType.AuthResponse, MessageType.SessionControl]
  return peer.raw.filter((raw) => !uncounted.includes(raw[1])).length
}

/** The connection of `peer` is lost. */
export async function lose(...peers: readonly Peer[]): Promise<void> {
  for (const peer of peers) peer.transport.cut()
  await settle()
}

/** Whether the relay went on with a session. */
export const wentOn = (peer: Peer): boolean => answerOf(peer).received !== undefined
