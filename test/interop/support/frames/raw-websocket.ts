import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Scene } from '../../../support/e2e/scene.js'
import { tcpTarget } from '../../../support/e2e/targets.js'
import { eventually, within } from '../../../support/wait.js'
import { FrameAudit } from './frame-audit.js'
import { closeCode, encodeFrame, type Frame, FrameReader, type FrameToSend, OPCODE } from './ws-frames.js'

const HEADER_END = '\r\n\r\n'
const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='

/** One end of a WebSocket that sends whatever it is told to, frame by frame or byte by byte. */
export class RawWebSocket {
  readonly frames: Frame[] = []
  /** Judges what the other end sends. */
  readonly audit: FrameAudit
  readonly socket: Socket
  /** Settles when the other end has ended or reset the connection. */
  readonly ended: Promise<void>
  readonly #masks: boolean
  readonly #reader = new FrameReader()
  #taken = 0

  constructor(socket: Socket, end: 'client' | 'server') {
    this.socket = socket
    this.#masks = end === 'client'
    this.audit = new FrameAudit(end === 'client' ? 'server' : 'client')
    socket.setNoDelay(true)
    socket.on('error', () => {})
    this.ended = new Promise((resolve) => socket.on('end', resolve).on('close', () => resolve()))
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) {
        this.audit.see(frame)
        this.frames.push(frame)
      }
    })
  }

  /** The bytes of frames, masked as this end must. */
  encode(...frames: readonly FrameToSend[]): Buffer {
    return Buffer.concat(frames.map((frame) => encodeFrame(frame, this.#masks)))
  }

  send(...frames: readonly FrameToSend[]): void {
    this.socket.write(this.encode(...frames))
  }

  /** Each message as one binary frame. */
  message(...messages: readonly Uint8Array[]): void {
    this.send(...messages.map((payload) => ({ opcode: OPCODE.binary, payload })))
  }

  /** The first frame that fits, past or to come. */
  async frame(what: string, fits: (frame: Frame) => boolean): Promise<Frame> {
    return await eventually(what, () => this.frames.find(fits))
  }

  /** The next binary message that was not taken yet; fragments are joined. */
  async next(): Promise<Buffer> {
    const parts: Buffer[] = []
    for (;;) {
      const at = this.#taken
      const frame = await eventually('message', () => this.frames[at])
      this.#taken += 1
      if (frame.opcode > OPCODE.binary) continue
      parts.push(frame.payload)
      if (frame.fin) return Buffer.concat(parts)
    }
  }

  /** The code with which the other end closes, once it has ended the connection too. */
  async closedWith(): Promise<number> {
    const frame = await this.frame('close frame', ({ opcode }) => opcode === OPCODE.close)
    this.socket.end()
    await within(this.ended, 'end of the connection')
    return closeCode(frame)
  }
}

export interface Handshake {
  readonly path: string
  /** Header lines that take the place of those of the same name, or join them; an empty value leaves the line out. */
  readonly headers?: Readonly<Record<string, string>>
  /** Sent in one piece with the header. */
  readonly behind?: Uint8Array
  /** Send each byte of the header alone. */
  readonly byteByByte?: boolean
}

export interface Upgrade {
  readonly status: number
  readonly head: string
  readonly socket: Socket
}

/** Sends the opening handshake of a client, and gives the answer as it came; what follows stays in the socket. */
export async function requestUpgrade(scene: Scene, port: number, handshake: Handshake): Promise<Upgrade> {
  const fields = Object.entries({
    Host: `127.0.0.1:${port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': KEY,
    'Sec-WebSocket-Version': '13',
    ...handshake.headers,
  }).flatMap(([name, value]) => (value === '' ? [] : [`${name}: ${value}`]))
  const socket = scene.connect(port)
  socket.setNoDelay(true)
  const bytes = Buffer.from(`GET ${handshake.path} HTTP/1.1\r\n${fields.join('\r\n')}${HEADER_END}`)
  if (handshake.byteByByte) {
    for (const byte of bytes) await new Promise((resolve) => socket.write(Buffer.of(byte), resolve))
    socket.write(handshake.behind ?? Buffer.alloc(0))
  } else socket.write(Buffer.concat([bytes, handshake.behind ?? Buffer.alloc(0)]))
  const head = await readHeader(socket)
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), head, socket }
}

/** A WebSocket to a server, after its opening handshake. @throws when the answer is not 101 */
export async function openRaw(scene: Scene, port: number, path: string): Promise<RawWebSocket> {
  const { status, head, socket } = await requestUpgrade(scene, port, { path })
  if (status !== 101) throw new Error(`the server answered: ${head}`)
  if (!head.includes(acceptKey(KEY))) throw new Error(`wrong Sec-WebSocket-Accept in: ${head}`)
  return new RawWebSocket(socket, 'client')
}

/** A server that leaves the answer to each opening handshake to `answer`. */
export function rawServer(scene: Scene, answer: (request: string, socket: Socket) => void): Promise<number> {
  return tcpTarget(scene, (socket) => {
    readHeader(socket).then(
      (head) => answer(head, socket),
      () => {},
    )
  })
}

/** Switches a connection to WebSocket; `frames` leave in one piece with the answer. */
export function acceptRaw(request: string, socket: Socket, ...frames: readonly FrameToSend[]): RawWebSocket {
  const raw = new RawWebSocket(socket, 'server')
  socket.write(Buffer.concat([Buffer.from(switchingProtocols(request)), raw.encode(...frames)]))
  return raw
}

/** The answer that accepts an opening handshake, with further header lines. */
export function switchingProtocols(request: string, ...lines: readonly string[]): string {
  const key = /^sec-websocket-key: *(\S+)/im.exec(request)?.[1] ?? ''
  const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
  return [...head, `Sec-WebSocket-Accept: ${acceptKey(key)}`, ...lines].join('\r\n') + HEADER_END
}

function acceptKey(key: string): string {
  return createHash('sha1')
    .update(key + MAGIC)
    .digest('base64')
}

/** Reads an HTTP header; what follows it goes back. @throws when the connection ends before */
export async function readHeader(socket: Socket): Promise<string> {
  let stop = (): void => {}
  const whole = new Promise<string>((resolve, reject) => {
    let bytes = Buffer.alloc(0)
    const onReadable = (): void => {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      bytes = Buffer.concat([bytes, chunk])
      const end = bytes.indexOf(HEADER_END)
      if (end === -1) return
      stop()
      if (bytes.length > end + HEADER_END.length) socket.unshift(bytes.subarray(end + HEADER_END.length))
      resolve(bytes.subarray(0, end + HEADER_END.length).toString('latin1'))
    }
    const onClose = (): void => reject(new Error(`ended within the header: ${bytes.toString('latin1')}`))
    socket.on('readable', onReadable).on('end', onClose).on('close', onClose)
    stop = () => socket.off('readable', onReadable).off('end', onClose).off('close', onClose)
  })
  try {
    return await within(whole, 'HTTP header')
  } finally {
    stop()
  }
}
