// The same as native/origin.c, in one thread: an echo waits for bulk here.
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { CHUNK, CONFIRMATION, HTTP_ANSWER, numbers, patternAt, patternHolds, REQUEST, receive } from './common.mjs'

/** @typedef {import('node:net').Socket} Socket */

/** @type {Set<{ moved: number }>} */
const uploads = new Set()

async function serve(/** @type {Socket} */ socket) {
  const kind = (await receive(socket, 1)).toString()
  if (kind === 'E') socket.pipe(socket)
  else if (kind === 'G') http(socket)
  else if (kind === 'D' || kind === 'U') {
    const request = await receive(socket, REQUEST - 1)
    const length = Number(request.readBigUInt64LE(0))
    const phase = request.readUInt32LE(8)
    if (kind === 'D') down(socket, length, phase)
    else up(socket, length, phase)
  } else socket.destroy()
}

function http(/** @type {Socket} */ socket) {
  socket.on('data', (bytes) => {
    if (bytes.subarray(-4).toString() === '\r\n\r\n') socket.end(HTTP_ANSWER)
  })
}

function down(/** @type {Socket} */ socket, /** @type {number} */ length, /** @type {number} */ phase) {
  let moved = 0
  const send = () => {
    while (moved < length) {
      const bytes = patternAt(phase + moved, Math.min(CHUNK, length - moved))
      moved += bytes.length
      if (!socket.write(bytes)) return
    }
  }
  socket.on('drain', send).resume()
  send()
}

function up(/** @type {Socket} */ socket, /** @type {number} */ length, /** @type {number} */ phase) {
  const own = { moved: 0 }
  let bad = 0
  socket.on('close', () => uploads.delete(own))
  socket.on('data', (bytes) => {
    uploads.add(own)
    if (!patternHolds(bytes, phase + own.moved)) bad++
    own.moved += bytes.length
    if (own.moved !== length) return
    const all = [...uploads].map(({ moved }) => moved)
    const confirmation = Buffer.alloc(CONFIRMATION)
    confirmation.writeBigUInt64LE(BigInt(own.moved), 0)
    confirmation.writeBigUInt64LE(BigInt(bad), 8)
    confirmation.writeBigUInt64LE(BigInt(Math.floor((Math.min(...all) / Math.max(...all)) * 1e6)), 16)
    uploads.delete(own)
    socket.write(confirmation)
  })
}

const { port = 0 } = numbers
const datagrams = createSocket({ type: 'udp4', recvBufferSize: 4_194_304 })
datagrams.on('message', (bytes, from) => datagrams.send(bytes, from.port, from.address)).bind(port, '127.0.0.1')
createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy())
  serve(socket).catch(() => socket.destroy())
}).listen({ port, host: '127.0.0.1', backlog: 4_096 })
