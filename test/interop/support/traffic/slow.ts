import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Scene } from '../../../support/e2e/scene.js'
import { readBytes } from '../../../support/e2e/socks.js'
import { tcpTarget } from '../../../support/e2e/targets.js'
import { eventually, within } from '../../../support/wait.js'
import { MB, send, standstill } from './targets.js'

/** Read before the reader stops. */
const FIRST_BYTES = MB

/** A stream whose reader stopped. */
export interface Stalled {
  /** Bytes that its sender got rid of. */
  readonly sent: () => number
  /** Reads on to the end; gives the digest of all bytes. */
  whole(): Promise<string>
  /** Reads on until nothing comes any more; gives the digest of all bytes, `undefined` where some are missing. */
  rest(): Promise<string | undefined>
}

type Open = (port: number) => Promise<Socket>

/** A target that sends `content`, to an application that stops reading. */
export async function stalledDownload(scene: Scene, open: Open, content: Buffer): Promise<Stalled> {
  let sent = 0
  const port = await tcpTarget(scene, (socket) => {
    socket.once('data', () => void send(socket, content, (bytes) => (sent += bytes)))
  })
  const socket = await open(port)
  socket.write('go')
  return await stalled(socket, content.length, () => sent)
}

/** An application that sends `content`, to a target that stops reading. */
export async function stalledUpload(scene: Scene, open: Open, content: Buffer): Promise<Stalled> {
  let sent = 0
  let accept = (_: Socket): void => {}
  const accepted = new Promise<Socket>((resolve) => {
    accept = resolve
  })
  const port = await tcpTarget(scene, accept)
  void send(await open(port), content, (bytes) => (sent += bytes))
  return await stalled(await within(accepted, 'connection at the target'), content.length, () => sent)
}

async function stalled(reader: Socket, length: number, sent: () => number): Promise<Stalled> {
  const first = await readBytes(reader, FIRST_BYTES)
  const hash = createHash('sha256').update(first)
  let received = first.length
  const readOn = (): void => {
    reader.on('data', (chunk: Buffer) => {
      received += chunk.length
      hash.update(chunk)
    })
  }
  return {
    sent,
    async whole() {
      readOn()
      const what = `end of the stalled stream (${length} bytes)`
      const over = (): boolean => received >= length || reader.readableEnded || reader.destroyed
      await eventually(what, () => over() || undefined)
      return hash.digest('hex')
    },
    async rest() {
      readOn()
      await standstill(() => received)
      return received < length ? undefined : hash.digest('hex')
    },
  }
}
