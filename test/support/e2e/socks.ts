import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4, isIPv6, type Socket } from 'node:net'
import { patience, within } from '../wait.js'
import type { Scene } from './scene.js'

export const CONNECT = 1
export const UDP_ASSOCIATE = 3

export interface SocksOptions {
  /** User name and password. @default method "none" */
  readonly credentials?: readonly [string, string]
  /** Sent in one write with the request. */
  readonly early?: Uint8Array
  /** Longest wait for the reply, in milliseconds. */
  readonly limitMs?: number
}

export interface SocksReply {
  readonly socket: Socket
  /** REP of RFC 1928 section 6. */
  readonly rep: number
  /** BND.PORT */
  readonly port: number
}

/** Exactly `length` bytes; what follows stays in the socket. @throws when it ends before */
export async function readBytes(socket: Socket, length: number, limitMs = patience()): Promise<Buffer> {
  let stop = (): void => {}
  const whole = new Promise<Buffer>((resolve, reject) => {
    const onReadable = (): void => {
      const bytes: Buffer | null = socket.read(length)
      if (bytes?.length === length) resolve(bytes)
      else if (bytes !== null) reject(new Error(`ended after ${bytes.length} of ${length} bytes`))
    }
    const onEnd = (): void => reject(new Error(`ended before ${length} bytes`))
    socket.on('readable', onReadable).on('end', onEnd).on('close', onEnd)
    stop = () => socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd)
    // only the first listener is told of what is there already
    onReadable()
  })
  try {
    return await within(whole, `${length} bytes`, limitMs)
  } finally {
    stop()
  }
}

/** An address as SOCKS5 writes it: ATYP, ADDR, PORT. */
export function socksAddress(host: string, port: number): Buffer {
  const tail = Buffer.of(port >> 8, port & 255)
  if (isIPv4(host)) return Buffer.concat([Buffer.of(1, ...host.split('.').map(Number)), tail])
  if (isIPv6(host)) {
    if (host !== '::1') throw new Error(`only ::1 is used, not ${host}`)
    return Buffer.concat([Buffer.of(4, ...new Array<number>(15).fill(0), 1), tail])
  }
  const name = Buffer.from(host)
  return Buffer.concat([Buffer.of(3, name.length), name, tail])
}

/** Sends one SOCKS5 request and reads the reply, whatever it says. @throws when authentication fails */
export async function socksRequest(
  scene: Scene,
  socksPort: number,
  command: number,
  [host, port]: readonly [string, number],
  { credentials, early = Buffer.alloc(0), limitMs = patience() }: SocksOptions = {},
): Promise<SocksReply> {
  const socket = scene.connect(socksPort)
  socket.write(Buffer.of(5, 1, credentials === undefined ? 0 : 2))
  const [, method] = await readBytes(socket, 2)
  if (method === 2 && credentials !== undefined) await authenticate(socket, credentials)
  else if (method !== 0) throw new Error(`method ${method} was selected`)
  socket.write(Buffer.concat([Buffer.of(5, command, 0), socksAddress(host, port), early]))
  const head = await readBytes(socket, 4, limitMs)
  const rest = await readBytes(socket, (head[3] === 4 ? 16 : 4) + 2)
  return { socket, rep: head[1] ?? 255, port: rest.readUInt16BE(rest.length - 2) }
}

async function authenticate(socket: Socket, credentials: readonly [string, string]): Promise<void> {
  const parts = credentials.flatMap((text) => [Buffer.of(text.length), Buffer.from(text)])
  socket.write(Buffer.concat([Buffer.of(1), ...parts]))
  const [, status] = await readBytes(socket, 2)
  if (status !== 0) throw new Error(`authentication failed with status ${status}`)
}

/** A connection through the proxy. @throws when the reply is not "succeeded" */
export async function socksConnect(
  scene: Scene,
  socksPort: number,
  target: readonly [string, number],
  options?: SocksOptions,
): Promise<Socket> {
  const { socket, rep } = await socksRequest(scene, socksPort, CONNECT, target, options)
  if (rep !== 0) throw new Error(`SOCKS reply ${rep}`)
  return socket
}

/** A UDP association. */
export class SocksUdp {
  readonly control: Socket
  readonly #socket: UdpSocket
  readonly #relayPort: number

  constructor(control: Socket, socket: UdpSocket, relayPort: number) {
    this.control = control
    this.#socket = socket
    this.#relayPort = relayPort
  }

  static async open(scene: Scene, socksPort: number, options?: SocksOptions): Promise<SocksUdp> {
    const { socket, rep, port } = await socksRequest(scene, socksPort, UDP_ASSOCIATE, ['0.0.0.0', 0], options)
    if (rep !== 0) throw new Error(`SOCKS reply ${rep}`)
    const udp = createSocket('udp4')
    scene.own(() => udp.close())
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve))
    return new SocksUdp(socket, udp, port)
  }

  /** Sends bytes to the association's port, with no header but their own. */
  send(datagram: Uint8Array): void {
    this.#socket.send(datagram, this.#relayPort, '127.0.0.1')
  }

  /** Sends one datagram and gives the payload of the next that comes back. */
  async exchange([host, port]: readonly [string, number], payload: Uint8Array): Promise<Buffer> {
    const answer = once(this.#socket, 'message')
    this.send(Buffer.concat([Buffer.of(0, 0, 0), socksAddress(host, port), payload]))
    const [message] = (await within(answer, `datagram from ${host}`)) as [Buffer]
    return message.subarray(message[3] === 4 ? 22 : 10)
  }
}
