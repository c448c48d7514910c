import type { Socket } from 'node:net'
import { encodeHttpConnect } from '../../exit/proxy/http-connect.js'
import { requestOfHttp } from '../../exit/proxy/http-connect-client.js'
import { MAX_PROXY_MESSAGE_BYTES, type ProxyConversation } from '../../exit/proxy/proxy-exchange.js'
import type { ProxyUrl } from '../../exit/proxy/proxy-url.js'
import { requestOfSocks } from '../../exit/proxy/socks-client.js'
import type { Target } from '../../ports.js'
import { Cmd, encodeRequest } from '../../socks/codec.js'
import { readMessage } from './socket-read.js'

/**
 * Asks the proxy at the far end of `socket` for a connection to `target`; the proxy resolves names. Bytes that follow its
 * answer stay in the socket.
 * @throws {LinkSocksError} ERR_PROXY_FAILED or an ERR_DIAL_* code with what the proxy said; the reason of `signal`
 */
export async function askProxy(socket: Socket, proxy: ProxyUrl, target: Target, signal: AbortSignal): Promise<void> {
  const conversation: ProxyConversation = {
    read: (decode) => readMessage(socket, decode, { maxBytes: MAX_PROXY_MESSAGE_BYTES, signal }),
    write: (bytes) => void socket.write(bytes),
  }
  if (proxy.protocol === 'http') {
    await requestOfHttp(conversation, encodeHttpConnect(target, proxy.credentials), signal)
  } else {
    await requestOfSocks(conversation, encodeRequest({ cmd: Cmd.Connect, target }), proxy.credentials, signal)
  }
}
