import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { numbers, patternAt, receive } from './common.mjs'

const PATIENCE_MS = 300

/** Asks a SOCKS5 port for an association, which lives as long as the connection, and gives its port. */
async function associate(/** @type {number} */ port) {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write(Buffer.of(5, 1, 0))
  await receive(socket, 2)
  socket.write(Buffer.of(5, 3, 0, 1, 0, 0, 0, 0, 0, 0))
  const answer = await receive(socket, 10)
  if (answer[1] !== 0 || answer[3] !== 1)
    throw new Error(`UDP ASSOCIATE: reply ${answer[1]}, address type ${answer[3]}`)
  return answer.readUInt16BE(8)
}

export async function udp() {
  const { port = 0, origin = 0, ms = 1_000, size = 1_024, window = 64, rate = 0 } = numbers
  const head = origin > 0 ? Buffer.of(0, 0, 0, 1, 127, 0, 0, 1, origin >> 8, origin & 255) : Buffer.alloc(0)
  const datagram = Buffer.concat([head, patternAt(0, size)])
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4_194_304 })
  const to = origin > 0 ? await associate(port) : port
  await new Promise((/** @type {(value: void) => void} */ resolve) => socket.connect(to, '127.0.0.1', resolve))
  const began = performance.now()
  let sent = 0
  let got = 0
  let lost = 0
  let heard = began
  let wrong = false
  const may = () => (rate > 0 ? sent < ((performance.now() - began) * rate) / 1_000 : sent - got - lost < window)
  const send = () => {
    while (performance.now() - began < ms && may()) {
      socket.send(datagram)
      sent++
    }
  }
  socket.on('message', (bytes) => {
    if (!bytes.equals(datagram)) wrong = true
    got++
    heard = performance.now()
    send()
  })
  while (performance.now() - began < ms || (got + lost < sent && performance.now() - heard < PATIENCE_MS)) {
    send()
    await sleep(1)
    if (performance.now() - heard < PATIENCE_MS) continue
    lost = sent - got
    heard = performance.now()
  }
  if (wrong) throw new Error('a datagram is wrong')
  return { sent, received: got, seconds: ms / 1_000 }
}
