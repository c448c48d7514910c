import { createConnection, isIP, type Socket } from 'node:net'
import { addressText, isPort } from '../../address.js'
import { type ErrorCode, LinkSocksError } from '../../errors.js'
import type { AbortOptions, ConnectTcp, SocketAddress } from '../../ports.js'
import { errorCode } from '../system/error-code.js'
import { TcpStream } from './tcp-stream.js'

/** An idle connection is probed after this long, so that a peer that vanished is noticed. */
export const KEEPALIVE_MS = 60_000

/** What the system's codes mean; any other is ERR_DIAL_FAILED. */
const FAILURES: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ECONNREFUSED: ['ERR_DIAL_REFUSED', 'refused the connection'],
  ECONNRESET: ['ERR_DIAL_FAILED', 'reset the connection'],
  EHOSTUNREACH: ['ERR_DIAL_HOST_UNREACHABLE', 'is unreachable: no route to host'],
  EHOSTDOWN: ['ERR_DIAL_HOST_UNREACHABLE', 'is unreachable: host is down'],
  ENETUNREACH: ['ERR_DIAL_NETWORK_UNREACHABLE', 'is unreachable: network is unreachable'],
  ENETDOWN: ['ERR_DIAL_NETWORK_UNREACHABLE', 'is unreachable: network is down'],
  EADDRNOTAVAIL: ['ERR_DIAL_NETWORK_UNREACHABLE', 'is unreachable: no local address fits'],
  EAFNOSUPPORT: ['ERR_DIAL_NETWORK_UNREACHABLE', 'is unreachable: address family is not supported here'],
  ETIMEDOUT: ['ERR_DIAL_TIMEOUT', 'did not answer: timed out'],
  EACCES: ['ERR_DIAL_FAILED', 'may not be reached: permission denied by this system'],
  EPERM: ['ERR_DIAL_FAILED', 'may not be reached: permission denied by this system'],
}

/** Connects with TCP_NODELAY and keep-alive; see {@link ConnectTcp}. */
export const connectTcp = async (address: SocketAddress, { signal }: AbortOptions = {}): Promise<TcpStream> => {
  // nothing is read before TcpStream wants it
  const prepare = (socket: Socket): void => void socket.pause()
  return new TcpStream(await connectSocket(address, { signal, allowHalfOpen: true, prepare }))
}
connectTcp satisfies ConnectTcp

interface SocketOptions extends AbortOptions {
  /** @default false */
  readonly allowHalfOpen?: boolean
  /** Sees the socket before it connects. */
  readonly prepare?: (socket: Socket) => void
}

/** As connectTcp(), for those who need Node's own socket; whoever gets it handles its errors. */
export async function connectSocket(
  address: SocketAddress,
  { signal, allowHalfOpen = false, prepare }: SocketOptions = {},
): Promise<Socket> {
  if (signal?.aborted) throw LinkSocksError.cancelled(signal)
  if (isIP(address.host) === 0 || !isPort(address.port)) {
    throw new LinkSocksError('ERR_DIAL_FAILED', 'not an IP address and port that TCP can connect to')
  }
  const socket = openSocket(address, allowHalfOpen)
  prepare?.(socket)
  return connected(socket, address, signal)
}

function openSocket({ host, port }: SocketAddress, allowHalfOpen: boolean): Socket {
  return createConnection({
    host,
    port,
    allowHalfOpen,
    autoSelectFamily: false,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_MS,
  })
}

function connected(socket: Socket, address: SocketAddress, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      signal?.removeEventListener('abort', onAbort)
      socket.off('connect', onConnect)
      socket.off('error', onError)
    }
    const onConnect = (): void => {
      settle()
      resolve(socket)
    }
    const onError = (error: Error): void => {
      settle()
      reject(connectError(error, address))
    }
    const onAbort = (): void => {
      settle()
      socket.destroy()
      if (signal) reject(LinkSocksError.cancelled(signal))
    }
    socket.on('connect', onConnect)
    socket.on('error', onError)
    signal?.addEventListener('abort', onAbort)
  })
}

function connectError(error: Error, address: SocketAddress): LinkSocksError {
  const system = errorCode(error)
  const [code, text] = FAILURES[system] ?? ['ERR_DIAL_FAILED', `could not be connected to: ${system || error.message}`]
  return new LinkSocksError(code, `${addressText(address)} ${text}`, { cause: error })
}
