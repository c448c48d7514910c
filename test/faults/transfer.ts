import { createHash, type Hash, randomFillSync } from 'node:crypto'
import type { Socket } from 'node:net'
import { type Scene, sha256 } from '../support/e2e-scene.js'
import { readBytes, socksConnect } from '../support/e2e-socks.js'
import { tcpTarget } from '../support/e2e-targets.js'
import { within } from '../support/wait.js'

export const MB = 1024 * 1024
const DIGEST_LENGTH = 64
const BLOCK = 64 * 1024

/** Bytes that occur nowhere twice. */
export function content(length: number): Buffer {
  return randomFillSync(Buffer.alloc(length))
}

/** Reads exactly `length` bytes and leaves the socket paused. @throws when it ends or brings more */
function take(socket: Socket, length: number, limitMs: number): Promise<Hash> {
  const hash = createHash('sha256')
  let left = length
  let stop = (): void => {}
  const whole = new Promise<Hash>((resolve, reject) => {
    const onEnd = (): void => reject(new Error(`ended ${left} bytes before the end of ${length}`))
    const onData = (bytes: Buffer): void => {
      left -= bytes.length
      hash.update(bytes)
      if (left === 0) resolve(hash)
      else if (left < 0) reject(new Error(`${-left} bytes too many`))
      if (left <= 0) stop()
    }
    stop = () => void socket.pause().off('data', onData).off('end', onEnd).off('close', onEnd).off('error', reject)
    socket.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', reject)
  })
  const what = (): string => `whole transfer: ${left} of ${length} bytes are missing, and none came`
  return within(whole, what, limitMs).finally(stop)
}

/** A target that answers `d` with `body`, `u` and as many bytes with their SHA-256, and then anything with itself. */
export function transferTarget(scene: Scene, body: Buffer, limitMs: number): Promise<number> {
  const serve = async (socket: Socket): Promise<void> => {
    const command = (await readBytes(socket, 1, limitMs)).toString()
    if (command === 'd')
      for (let at = 0; at < body.length; at += BLOCK) await write(socket, body.subarray(at, at + BLOCK))
    else socket.write((await take(socket, body.length, limitMs)).digest('hex'))
    socket.pipe(socket)
  }
  return tcpTarget(scene, (socket) => void serve(socket).catch(() => socket.destroy()))
}

async function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (socket.write(bytes)) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
  if (socket.destroyed) throw new Error('closed')
}

export interface Transfer {
  /** `whole`, or what went wrong. */
  readonly result: Promise<string>
  /** Whether what remains of the connection still carries something. */
  stillOpen(): Promise<boolean>
}

/** Moves all of `body` over one connection through a SOCKS5 port to or from a `transferTarget`. */
export async function startTransfer(
  scene: Scene,
  { socksPort, target, body, limitMs }: { socksPort: number; target: number; body: Buffer; limitMs: number },
  direction: 'download' | 'upload',
): Promise<Transfer> {
  const socket = await socksConnect(scene, socksPort, ['127.0.0.1', target])
  const run = async (): Promise<string> => {
    const expected = sha256(body)
    const digest =
      direction === 'download' ? await download(socket, body, limitMs) : await upload(socket, body, limitMs)
    return digest === expected ? 'whole' : `${direction} has digest ${digest} instead of ${expected}`
  }
  const result = run().catch((error: Error) => `${direction}: ${error.message}`)
  const stillOpen = async (): Promise<boolean> => {
    socket.write('still open')
    return (await readBytes(socket, 10)).toString() === 'still open'
  }
  return { result, stillOpen }
}

async function download(socket: Socket, body: Buffer, limitMs: number): Promise<string> {
  const whole = take(socket, body.length, limitMs)
  socket.write('d')
  return (await whole).digest('hex')
}

async function upload(socket: Socket, body: Buffer, limitMs: number): Promise<string> {
  let answer = ''
  const whole = readBytes(socket, DIGEST_LENGTH, limitMs).then((bytes) => {
    answer = bytes.toString()
  })
  socket.write('u')
  socket.write(body)
  await whole
  return answer
}
