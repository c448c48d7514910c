// Both ends of a transfer through a SOCKS5 port, in a thread of their own: what they copy and allocate isn't counted.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { parentPort } from 'node:worker_threads'

const CHUNK = Buffer.alloc(64 * 1024, 'linksocks')

/** @param {import('node:net').Socket} socket @param {number} bytes */
async function send(socket, bytes) {
  for (let left = bytes; left > 0; left -= CHUNK.byteLength) {
    if (!socket.write(CHUNK.subarray(0, left))) await once(socket, 'drain')
  }
  socket.end()
}

/** @param {import('node:net').Socket} socket */
async function count(socket) {
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.byteLength
  })
  await once(socket, 'end')
  return bytes
}

/** Moves `bytes` through the port `socks`. @param {{ socks: number, bytes: number, up: boolean }} order */
async function move({ socks, bytes, up }) {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const accepted = once(server, 'connection')
  const near = connect({ port: socks, host: '127.0.0.1', allowHalfOpen: true })
  near.write(Buffer.from([5, 1, 0]))
  await once(near, 'data')
  // it may come before the connection does
  const replied = once(near, 'data')
  near.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff]))
  const [far] = /** @type {[import('node:net').Socket]} */ (await accepted)
  await replied
  const [from, to] = up ? [near, far] : [far, near]
  const counted = count(to)
  await send(from, bytes)
  const arrived = await counted
  to.end()
  from.resume()
  await once(from, 'close')
  server.close()
  return arrived
}

parentPort?.on('message', async (order) => parentPort?.postMessage(await move(order)))
