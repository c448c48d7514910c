import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ByteStream } from '../../ports.js'
import { pump } from '../../streams/pump.js'
import type { Upgraded } from './forward-request.js'
import { endToEnd } from './head-rules.js'
import type { HttpSocket } from './http-socket.js'
import { headOf } from './proxy-answers.js'

export interface UpgradeRequestOptions {
  /** The client's. */
  readonly socket: HttpSocket
  /** Gives the client's stream, once all answers have left. */
  readonly takeStream: () => Promise<ByteStream>
  /** Both connections are joined. */
  readonly joined: () => void
  /** Called when the joined connections are gone. */
  readonly gone: () => void
}

/**
 * Serves a request to become a WebSocket: when the promise settles, both connections are joined, or another answer ends that of the
 * client.
 * @param serve asks the origin, or answers
 */
export async function serveUpgradeRequest(
  message: IncomingMessage,
  options: UpgradeRequestOptions,
  serve: (response: ServerResponse, upgraded: Upgraded) => Promise<void>,
): Promise<void> {
  const { socket } = options
  const response = new ServerResponse(message)
  response.assignSocket(socket as unknown as Socket)
  response.shouldKeepAlive = false
  response.on('error', () => {})
  const finished = new Promise<void>((resolve) => {
    response.once('finish', () => {
      socket.destroySoon()
      resolve()
    })
    socket.once('close', resolve)
  })
  const switched = new Promise<void>((resolve, reject) => {
    const upgraded: Upgraded = (incoming, far) => void join(incoming, far, options).then(resolve, reject)
    serve(response, upgraded).catch(reject)
  })
  await Promise.race([finished, switched])
}

/** The origin has switched: both connections are joined, and nothing of them is HTTP any more. */
async function join(
  { statusCode = 101, rawHeaders, headers }: IncomingMessage,
  far: HttpSocket,
  { socket, takeStream, joined, gone }: UpgradeRequestOptions,
): Promise<void> {
  const kept = endToEnd(rawHeaders, ['content-length'])
  const fields = [...kept, 'Connection', 'Upgrade', 'Upgrade', headers.upgrade ?? '']
  socket.write(headOf(statusCode, fields), 'latin1')
  far.on('error', () => {})
  const origin = far.release()
  pump(await takeStream(), origin, gone)
  joined()
}
