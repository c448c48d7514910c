import { connect } from 'node:net'

/** Longest wait for the next bytes. */
const IDLE_TIMEOUT_MS = 15_000
const REPLIES = [
  'succeeded',
  'general failure',
  'not allowed',
  'network unreachable',
  'host unreachable',
  'refused',
  'timed out',
]

/**
 * Fetches `http://host:port/` through the SOCKS5 server at 127.0.0.1:`socksPort` (RFC 1928, no authentication). The name
 * is sent as it is: the far end looks it up. Bytes are counted without those of SOCKS itself.
 */
export async function fetchThroughSocks(socksPort, host, port) {
  const socket = connect(socksPort, '127.0.0.1')
  socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy(new Error('no answer through the proxy port in time')))
  const input = new Input(socket)

  // version 5, one method: none needed
  socket.write(Uint8Array.of(5, 1, 0))
  const [, method] = await input.take(2)
  if (method !== 0) throw new Error('the proxy port asks for a password')

  // CONNECT to a domain name
  const name = Buffer.from(host)
  socket.write(Buffer.concat([Buffer.of(5, 1, 0, 3, name.length), name, Buffer.of(port >> 8, port & 0xff)]))
  const [, reply, , addressType] = await input.take(4)
  if (reply !== 0) throw new Error(`the proxy port answered: ${REPLIES[reply] ?? `code ${reply}`}`)
  await input.take((addressType === 4 ? 16 : 4) + 2)

  const request = `GET / HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`
  socket.end(request)
  const answer = await input.rest()
  const text = answer.toString('utf8')
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]),
    title: /<title>([^<]*)<\/title>/.exec(text)?.[1] ?? '',
    bytesSent: Buffer.byteLength(request),
    bytesReceived: answer.length,
  }
}

/** Reads a socket by byte counts. */
class Input {
  #chunks
  #buffer = Buffer.alloc(0)

  constructor(socket) {
    this.#chunks = socket[Symbol.asyncIterator]()
  }

  async take(bytes) {
    while (this.#buffer.length < bytes) {
      const { value, done } = await this.#chunks.next()
      if (done) throw new Error('the proxy port closed the connection')
      this.#buffer = Buffer.concat([this.#buffer, value])
    }
    const taken = this.#buffer.subarray(0, bytes)
    this.#buffer = this.#buffer.subarray(bytes)
    return taken
  }

  async rest() {
    const chunks = [this.#buffer]
    for await (const chunk of { [Symbol.asyncIterator]: () => this.#chunks }) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
}
