import { randomFillSync } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Scene } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { tcpTarget } from '../support/e2e/targets.js'
import { within } from '../support/wait.js'

export const MB = 1024 * 1024
/** What a transfer that came as it was sent ends with. */
const WHOLE = 'whole'
const VERDICT_LENGTH = 40
const BLOCK = 64 * 1024

/** Bytes that occur nowhere twice. */
export function content(length: number): Buffer {
  return randomFillSync(Buffer.alloc(length))
}

/** Reads as many bytes as `expected` has and leaves the socket paused. @returns `whole`, or the first byte that is another. @throws when it ends or brings more */
function take(socket: Socket, expected: Buffer): Promise<string> {
  let at = 0
  let wrong = -1
  let stop = (): void => {}
  const whole = new Promise<string>((resolve, reject) => {
    const onEnd = (): void => reject(new Error(`ended after ${at} of ${expected.length} bytes`))
    const onData = (bytes: Buffer): void => {
      if (wrong === -1 && !bytes.equals(expected.subarray(at, at + bytes.length))) {
        wrong = at + bytes.findIndex((byte, index) => byte !== expected[at + index])
      }
      at += bytes.length
      if (at === expected.length) resolve(wrong === -1 ? WHOLE : `byte ${wrong} is another`)
      else if (at > expected.length) reject(new Error(`${at - expected.length} bytes too many`))
      if (at >= expected.length) stop()
    }
    stop = () => void socket.pause().off('data', onData).off('end', onEnd).off('close', onEnd).off('error', reject)
    socket.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', reject)
  })
  return within(whole, () => `whole transfer: ${at} of ${expected.length} bytes came`).finally(stop)
}

export interface TransferTarget {
  readonly port: number
  /** Bytes of downloads that were taken from it so far. */
  readonly sent: () => number
}

/**
 * A target that answers `d` with `body`, `u` and as many bytes with what came of them, and then anything with itself.
 * @param end the last block of `body` follows it
 */
export async function transferTarget(scene: Scene, body: Buffer, end?: Promise<unknown>): Promise<TransferTarget> {
  let sent = 0
  const download = async (socket: Socket): Promise<void> => {
    for (let at = 0; at < body.length; at += BLOCK) {
      if (at + BLOCK >= body.length) await end
      await write(socket, body.subarray(at, at + BLOCK))
      sent += BLOCK
    }
  }
  const serve = async (socket: Socket): Promise<void> => {
    const command = (await readBytes(socket, 1)).toString()
    if (command === 'd') await download(socket)
    else socket.write((await take(socket, body)).padEnd(VERDICT_LENGTH))
    socket.pipe(socket)
  }
  const port = await tcpTarget(scene, (socket) => void serve(socket).catch(() => socket.destroy()))
  return { port, sent: () => sent }
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

export interface TransferPlan {
  readonly socksPort: number
  readonly target: number
  readonly body: Buffer
  /** The last block of an upload follows it. */
  readonly end?: Promise<unknown>
}

/** Moves all of `body` over one connection through a SOCKS5 port to or from a `transferTarget`. */
export async function startTransfer(
  scene: Scene,
  { socksPort, target, body, end }: TransferPlan,
  direction: 'download' | 'upload',
): Promise<Transfer> {
  const socket = await socksConnect(scene, socksPort, ['127.0.0.1', target])
  const moved = direction === 'download' ? download(socket, body) : upload(socket, body, end)
  const result = moved.then(
    (verdict) => (verdict === WHOLE ? WHOLE : `${direction}: ${verdict}`),
    (error: Error) => `${direction}: ${error.message}`,
  )
  const stillOpen = async (): Promise<boolean> => {
    socket.write('still open')
    return (await readBytes(socket, 10)).toString() === 'still open'
  }
  return { result, stillOpen }
}

async function download(socket: Socket, body: Buffer): Promise<string> {
  const whole = take(socket, body)
  socket.write('d')
  return await whole
}

async function upload(socket: Socket, body: Buffer, end: Promise<unknown> | undefined): Promise<string> {
  const verdict = readBytes(socket, VERDICT_LENGTH)
  socket.write('u')
  socket.write(body.subarray(0, -BLOCK))
  // `verdict` rejects when the connection ends
  await Promise.race([end, verdict])
  socket.write(body.subarray(-BLOCK))
  return (await verdict).toString().trimEnd()
}
