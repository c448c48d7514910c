import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type RawData, WebSocket, WebSocketServer } from 'ws'
import type { Scene } from '../../support/e2e/scene.js'

export type End = 'client' | 'server'

export interface CapturedMessage {
  readonly from: End
  readonly bytes: Buffer
  readonly binary: boolean
}

/** One WebSocket that went through: its handshake and its messages, in the order they came. */
export class CapturedLink {
  readonly target: URL
  readonly request: IncomingHttpHeaders
  /** Header of the server's answer to the handshake. */
  answer: IncomingHttpHeaders = {}
  readonly messages: CapturedMessage[] = []
  /** Whether neither end has closed it. */
  open = true
  /** The status that refused it instead of an upgrade. */
  refusal: number | undefined

  constructor({ url, headers }: IncomingMessage) {
    this.target = new URL(url ?? '/', 'ws://server')
    this.request = headers
  }

  /** Messages of one end. */
  of(from: End): readonly CapturedMessage[] {
    return this.messages.filter((message) => message.from === from)
  }

  /** The plain Auth message of the in-band form; none in the URL form. */
  get auth(): Buffer | undefined {
    const first = this.of('client')[0]?.bytes
    return this.target.searchParams.has('token') || first?.[1] !== 1 ? undefined : first
  }

  /** Whether the client offers its network. */
  get reverse(): boolean {
    const { auth } = this
    return auth === undefined ? this.target.searchParams.get('reverse') === 'true' : auth[3 + (auth[2] ?? 0)] === 1
  }
}

/** Header lines that a proxy passes on as they are: what the other end of the handshake may react to. */
const PASSED = ['sec-websocket-extensions', 'sec-websocket-protocol', 'user-agent'] as const
/** What deployed programs send at most, and some. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024
const OPTIONS = { perMessageDeflate: false, maxPayload: MAX_MESSAGE_BYTES } as const

/** A WebSocket proxy in front of a server, which passes every message on unchanged and keeps it. */
class Capture {
  readonly links: CapturedLink[] = []
  readonly #target: string
  readonly #webSockets = new WebSocketServer({ noServer: true, clientTracking: false, ...OPTIONS })
  readonly #sockets = new Set<WebSocket>()

  constructor(target: string) {
    this.#target = target
  }

  /** @returns its URL beside the capture. `serverPort` is on loopback. */
  static async start(scene: Scene, serverPort: number): Promise<{ capture: Capture; url: string }> {
    const capture = new Capture(`ws://127.0.0.1:${serverPort}`)
    const http = createServer((_request, response) => response.writeHead(426).end())
    http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => capture.#pass(request, socket, head))
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    scene.own(() => {
      capture.cut()
      http.closeAllConnections()
      http.close()
    })
    return { capture, url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}` }
  }

  /** Ends every link at once, without a Close frame. New ones pass. */
  cut(): void {
    for (const socket of this.#sockets) socket.terminate()
  }

  #pass(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const link = new CapturedLink(request)
    this.links.push(link)
    const headers = Object.fromEntries(
      PASSED.flatMap((name) => (request.headers[name] === undefined ? [] : [[name, request.headers[name]]])),
    )
    const far = this.#own(new WebSocket(`${this.#target}${request.url}`, { headers, ...OPTIONS }))
    socket.on('error', () => far.terminate()).on('close', () => far.terminate())
    far.on('upgrade', (response) => {
      link.answer = response.headers
    })
    // a refusal reaches the client as one
    far.on('unexpected-response', (_, { statusCode, statusMessage }) => {
      link.open = false
      link.refusal = statusCode
      socket.end(`HTTP/1.1 ${statusCode} ${statusMessage}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    })
    far.on('error', () => socket.destroy())
    far.on('open', () =>
      this.#webSockets.handleUpgrade(request, socket, head, (near) => join(link, this.#own(near), far)),
    )
  }

  #own(socket: WebSocket): WebSocket {
    this.#sockets.add(socket)
    return socket.on('close', () => this.#sockets.delete(socket))
  }
}

function join(link: CapturedLink, near: WebSocket, far: WebSocket): void {
  pump(link, 'client', near, far)
  pump(link, 'server', far, near)
}

function pump(link: CapturedLink, from: End, source: WebSocket, sink: WebSocket): void {
  source.on('message', (data: RawData, binary) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)])
    link.messages.push({ from, bytes, binary })
    if (sink.readyState === WebSocket.OPEN) sink.send(bytes, { binary })
  })
  source.on('error', () => sink.terminate())
  source.on('close', () => {
    link.open = false
  })
  // an end without a Close frame stays one
  source.on('close', (code, reason) => {
    if (code === 1005) sink.close()
    else if (code === 1006) sink.terminate()
    else sink.close(code, reason)
  })
}

/** For `inFront` of a mixed tunnel: a capture in front of its server, and the links seen so far. */
export function captureInFront(scene: Scene): {
  readonly inFront: (port: number) => Promise<string>
  readonly links: () => readonly CapturedLink[]
  /** Ends every link at once, without a Close frame. New ones pass. */
  readonly cut: () => void
} {
  const captures: Capture[] = []
  const inFront = async (port: number): Promise<string> => {
    const { capture, url } = await Capture.start(scene, port)
    captures.push(capture)
    return url
  }
  const cut = (): void => {
    for (const capture of captures) capture.cut()
  }
  return { inFront, links: () => captures.flatMap((capture) => capture.links), cut }
}
