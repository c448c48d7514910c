import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Scene } from '../../../support/e2e/scene.js'
import type { LocalCa } from './ca.js'
import { listen, type Origin } from './origin.js'

/** What an origin saw of a request. */
export interface Seen {
  readonly method: string
  /** Request target, as it came. */
  readonly url: string
  readonly version: string
  /** Names in lower case and values, in the order they came. */
  readonly fields: readonly (readonly [string, string])[]
  /** Whether the client wanted to hear 100 before it sent its body. */
  readonly expected: boolean
  readonly bodyBytes: number
  /** SHA-256 of the body, in hex. */
  readonly bodyDigest: string
}

/** A request for it is refused before its body has come. */
export const TOO_LARGE = '/too-large'

/** A web server that answers each request with what it saw of it, as JSON. */
export async function tellingOrigin(scene: Scene, ca?: LocalCa): Promise<Origin> {
  const server = ca === undefined ? createServer() : createTlsServer({ cert: ca.cert, key: ca.key })
  server.on('request', (request, response) => void tell(request, response, false))
  server.on('checkContinue', (request, response) => {
    if (request.url === TOO_LARGE) response.writeHead(413, { Connection: 'close' }).end('too large')
    else {
      response.writeContinue()
      void tell(request, response, true)
    }
  })
  const listening = await listen(scene, server)
  scene.own(() => server.closeAllConnections())
  return listening
}

async function tell(request: IncomingMessage, response: ServerResponse, expected: boolean): Promise<void> {
  request.on('error', () => {})
  response.on('error', () => {})
  const hash = createHash('sha256')
  let bodyBytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk)
    bodyBytes += chunk.length
  }
  const { method = '', url = '', httpVersion: version, rawHeaders: raw } = request
  const fields = raw.flatMap((name, i) => (i % 2 === 0 ? [[name.toLowerCase(), raw[i + 1] ?? ''] as const] : []))
  const seen: Seen = { method, url, version, fields, expected, bodyBytes, bodyDigest: hash.digest('hex') }
  const body = JSON.stringify(seen)
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
  response.end(method === 'HEAD' ? undefined : body)
}

/** The value of a field that an origin saw; `undefined` where there was none. */
export function fieldOf({ fields }: Seen, name: string): string | undefined {
  return fields.find(([field]) => field === name)?.[1]
}
