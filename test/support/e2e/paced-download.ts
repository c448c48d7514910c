import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { within } from '../wait.js'
import type { Scene } from './scene.js'
import { tcpTarget } from './targets.js'

const BLOCK = randomBytes(16 * 1024)
const PAUSE_MS = 20

/** A target that sends a little again and again until it is told to end, and knows what it has sent. */
export class PacedTarget {
  readonly port: number
  readonly #sent: string[]
  readonly #finishing: { current: boolean }

  private constructor(port: number, sent: string[], finishing: { current: boolean }) {
    this.port = port
    this.#sent = sent
    this.#finishing = finishing
  }

  static async open(scene: Scene): Promise<PacedTarget> {
    const sent: string[] = []
    const finishing = { current: false }
    const port = await tcpTarget(scene, (socket) => {
      const hash = createHash('sha256')
      let count = 0
      const timer = setInterval(() => {
        if (finishing.current) {
          clearInterval(timer)
          sent.push(hash.digest('hex'))
          socket.end()
        } else if (!socket.writableNeedDrain) {
          count += 1
          const block = Buffer.concat([Buffer.from(`${count} `), BLOCK])
          hash.update(block)
          socket.write(block)
        }
      }, PAUSE_MS)
      socket.on('close', () => clearInterval(timer))
      socket.resume()
    })
    return new PacedTarget(port, sent, finishing)
  }

  /** Ends what is being sent. @returns the digest of what a connection was sent and of what arrived on it */
  async finish(download: PacedDownload): Promise<readonly [sent: string, arrived: string]> {
    this.#finishing.current = true
    const arrived = await within(download.digest, 'end of a download')
    this.#finishing.current = false
    return [this.#sent.pop() ?? 'nothing was sent', arrived]
  }
}

/** What comes on a connection to a {@link PacedTarget}. */
export class PacedDownload {
  /** Settles with the end. @throws what cut it */
  readonly digest: Promise<string>
  /** Settles with the first byte. */
  readonly began: Promise<void>

  constructor(socket: Socket) {
    const hash = createHash('sha256')
    this.began = new Promise((resolve) => void socket.once('data', () => resolve()))
    this.digest = new Promise((resolve, reject) => {
      socket.on('data', (chunk: Buffer) => hash.update(chunk))
      socket.on('end', () => {
        socket.end()
        resolve(hash.digest('hex'))
      })
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('cut')))
    })
    // whoever waits hears of it
    this.digest.catch(() => {})
  }
}
