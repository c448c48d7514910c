import { HandshakeStream } from '../../src/streams/handshake-stream.js'
import { byteStreamContract } from '../contract/byte-stream.js'
import { settle } from '../support/manual-clock.js'
import { memoryStreamPair } from '../support/memory-stream.js'

byteStreamContract('a released HandshakeStream', async () => {
  const [a, b] = memoryStreamPair({ chunkSize: 30_000 })
  return { a: new HandshakeStream(a).release(), b, settle }
})

byteStreamContract('a HandshakeStream released after its handshake', async () => {
  const [a, b] = memoryStreamPair({ chunkSize: 30_000 })
  const [near, far] = [new HandshakeStream(a), new HandshakeStream(b)]
  near.write(new Uint8Array(100))
  far.write(new Uint8Array(100))
  const word = (buf: Uint8Array) => (buf.length < 100 ? undefined : { value: buf, bytesRead: 100 })
  await Promise.all([near.read(word), far.read(word)])
  return { a: near.release(), b: far.release(), settle }
})
