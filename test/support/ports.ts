import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer } from 'node:net'

/** Where free ports are looked for: below those the system gives to outgoing connections (32,768 and up on Linux). */
const PORT_BASE = 20_000
const PORT_COUNT = 10_000
const HOST = '127.0.0.1'
/** Claims are on an address that nothing else binds: a program may want UDP on the port that it is given (HTTP/3 does). */
const CLAIM_HOST = process.platform === 'linux' ? '127.99.0.1' : HOST

/** UDP sockets on the ports given out: every test process asks for them first, so that two never get the same port. */
const claims: UdpSocket[] = []
let next = Math.floor(Math.random() * PORT_COUNT)

/** Whether nothing listens on a TCP port of loopback. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', () => resolve(false))
    server.listen(port, HOST, () => server.close(() => resolve(true)))
  })
}

/**
 * The first of `count` free TCP ports in a row, for where a process can't say which one it took. They are this test process's
 * until it ends, and are given out once.
 */
export async function freePort(count = 1): Promise<number> {
  for (let tried = 0; tried < PORT_COUNT; tried += count) {
    if (next + count > PORT_COUNT) next = 0
    const first = PORT_BASE + next
    next += count
    if (await claimAll(first, count)) return first
  }
  throw new Error(`no ${count} free ports in a row from ${PORT_BASE} on`)
}

async function claimAll(first: number, count: number): Promise<boolean> {
  const mine: UdpSocket[] = []
  for (let port = first; port < first + count; port += 1) {
    const claim = await claimOne(port)
    if (claim !== undefined) mine.push(claim)
    if (claim === undefined || !(await isFree(port))) {
      for (const socket of mine) socket.close()
      return false
    }
  }
  claims.push(...mine)
  return true
}

function claimOne(port: number): Promise<UdpSocket | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4').unref()
    socket.on('error', () => {
      socket.close()
      resolve(undefined)
    })
    socket.bind({ port, address: CLAIM_HOST, exclusive: true }, () => resolve(socket))
  })
}
