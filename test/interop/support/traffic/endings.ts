import type { Socket } from 'node:net'
import type { Scene } from '../../../support/e2e/scene.js'
import { readBytes } from '../../../support/e2e/socks.js'
import { tcpTarget } from '../../../support/e2e/targets.js'
import { within } from '../../../support/wait.js'

type Open = (port: number) => Promise<Socket>

/** One side of a stream whose other side has ended. */
export class Ending {
  /** Whether this side has learnt it. */
  known = false
  readonly #socket: Socket
  readonly #learnt: Promise<void>

  constructor(socket: Socket) {
    this.#socket = socket
    this.#learnt = new Promise((resolve) => {
      socket.on('end', resolve).on('close', resolve).resume()
    })
    void this.#learnt.then(() => {
      this.known = true
    })
  }

  /** Waits until this side has learnt it. */
  async learn(): Promise<void> {
    await within(this.#learnt, 'end of a stream that its other side has ended')
  }

  /** Ends this side too. */
  end(): void {
    this.#socket.end()
  }
}

/** The application's side of a stream whose target has ended. */
export async function endedByTarget(scene: Scene, open: Open): Promise<Ending> {
  const port = await tcpTarget(scene, (socket) => socket.once('data', () => socket.end('bye')))
  const socket = await open(port)
  socket.write('?')
  await readBytes(socket, 3)
  return new Ending(socket)
}

/** The target's side of a stream whose application has ended. */
export async function endedByApplication(scene: Scene, open: Open): Promise<Ending> {
  let accept = (_: Socket): void => {}
  const accepted = new Promise<Socket>((resolve) => {
    accept = resolve
  })
  const port = await tcpTarget(scene, accept)
  const application = await open(port)
  application.write('bye')
  const target = await within(accepted, 'connection at the target')
  await readBytes(target, 3)
  application.end()
  return new Ending(target)
}
