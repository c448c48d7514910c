// Broken and slow connections, and the good client that has to get in beside them.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { block, dial, use } from './channels.mjs'
import { BULK, eventually, fail, random, seconds, upTo } from './plan.mjs'
import { Program } from './programs.mjs'

const UPGRADE =
  'GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

/** Nonsense of a random kind. */
function nonsense() {
  const noise = block.subarray(upTo(BULK - 3_000)).subarray(0, 1 + upTo(3_000))
  const short = noise.subarray(0, 100)
  const auth = Buffer.concat([Buffer.of(0x82, 0x80 | (short.length + 2), 0, 0, 0, 0, 1, 1), short])
  const kinds = [
    [noise],
    [UPGRADE.slice(0, upTo(UPGRADE.length))],
    [UPGRADE, noise],
    [UPGRADE, auth],
    [UPGRADE, Buffer.of(0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0), noise],
    ['GET / HTTP/1.1\r\nX: ', 'x'.repeat(60_000), '\r\n\r\n'],
    [Buffer.of(5, 1, 0, 5), noise],
    [Buffer.of(5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0), noise],
  ]
  return kinds[upTo(kinds.length)]
}

/** `count` broken connections, 32 at a time. */
export async function throwGarbage(port, count) {
  let left = count
  const thrower = async () => {
    while (left-- > 0) {
      const socket = connect(port, '127.0.0.1')
        .on('error', () => {})
        .resume()
      const closed = new Promise((resolve) => socket.on('close', resolve))
      for (const part of nonsense()) socket.write(part)
      if (random() < 0.7) socket.end()
      await Promise.race([closed, sleep(random() < 0.2 ? 5 : 400)])
      socket.resetAndDestroy()
    }
  }
  await Promise.all(Array.from({ length: 32 }, thrower))
}

/** `count` connections that never finish their header, as far as file descriptors allow. @returns what ends them */
export async function openSlow(port, count) {
  const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1_024)
  const sockets = []
  let errors = 0
  for (let index = 0; index < Math.min(count, limit - 500); index++) {
    sockets.push(
      connect(port, '127.0.0.1', function () {
        this.write('GET / HTTP/1.1\r\nX: ')
      })
        .on('error', () => (errors += 1))
        .resume(),
    )
    if (index % 200 === 199) await sleep(10)
  }
  await eventually(
    () => 'slow connections do not connect',
    () => sockets.every(({ connecting }) => !connecting),
    20_000,
  )
  const alive = sockets.filter(({ destroyed }) => !destroyed).length
  console.log(`${sockets.length} slow connections opened, ${alive} of them still open, ${errors} refused or reset`)
  return () => {
    for (const socket of sockets) socket.destroy()
  }
}

/** A client that is new to the server gets in, and something through. */
export async function goodClient(port, target, when) {
  const since = performance.now()
  const program = new Program('good client', ['client', '-u', `ws://127.0.0.1:${port}`, '-t', 'F', '-p', '0'])
  try {
    await use.e(await dial((await program.event('socks.listening')).port, target))
    console.log(`a good client ${when}: first stream ${seconds(since)} s after its start`)
  } catch (error) {
    fail(`a good client ${when}: ${error.message}`)
  }
}
