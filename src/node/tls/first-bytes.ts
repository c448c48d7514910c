import type { Socket } from 'node:net'

/**
 * Looks at the first bytes of a connection and leaves them unread.
 * @param needed gets all that came so far, each time more of it, and says how many bytes it takes to tell more; it is not asked again
 *   before these are there, and no more are than it got, that will do
 * @param seen called then, with all that came; the socket may be given away. Not called for a connection that ends before.
 */
export function lookAtFirstBytes(
  socket: Socket,
  needed: (bytes: Uint8Array) => number,
  seen: (bytes: Uint8Array) => void,
): void {
  // twice as large each time it is full: a peer that sends byte by byte has few of them copied
  let memory = Buffer.alloc(0)
  let there = 0
  let wanted = 1
  const look = (): void => {
    const more = socket.read() as Buffer | null
    if (more === null) return
    if (there + more.byteLength > memory.byteLength) {
      memory = Buffer.concat([memory.subarray(0, there), more], 2 * (there + more.byteLength))
    } else memory.set(more, there)
    there += more.byteLength
    if (there < wanted) return
    const known = memory.subarray(0, there)
    wanted = needed(known)
    if (there < wanted) return
    settle()
    socket.unshift(known)
    seen(known)
  }
  const over = (): void => {
    settle()
    socket.destroy()
  }
  const settle = (): void => {
    socket.off('readable', look)
    socket.off('end', over)
    socket.off('close', settle)
  }
  socket.on('readable', look)
  socket.on('end', over)
  socket.on('close', settle)
}
