import { LinkSocksError } from '../../errors.js'
import type { Clock, Timer } from '../../ports.js'
import type { HttpSocket } from './http-socket.js'

/** How often it is looked whether a client that has ended its side still gets something. */
const HALF_CLOSED_MS = 60_000

/**
 * A client that has ended its side waits for the rest of its answer, or is gone: only writing to it would tell. While nothing is written
 * for {@link HALF_CLOSED_MS} it is given up, so that a silent origin holds nothing for somebody who left.
 */
export function limitHalfClosed(socket: HttpSocket, clock: Clock): void {
  let timer: Timer | undefined
  const watch = (): void => {
    const before = socket.bytesWritten
    timer = clock.after(HALF_CLOSED_MS, () => {
      // what waits for the client waits for no origin
      if (socket.bytesWritten !== before || socket.writableLength > 0) return watch()
      socket.destroy(new LinkSocksError('ERR_STREAM_RESET', 'the client has ended its side, and nothing comes for it'))
    })
  }
  socket.once('end', watch)
  socket.once('close', () => timer?.cancel())
}
