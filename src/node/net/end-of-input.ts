import type { Socket } from 'node:net'

/*
 * libuv reports end of file when a connection was reset while its last bytes had not been read yet (it takes POLLHUP
 * after a partial read for the end). A stream cut in the middle would pass for a whole one. The kernel still tells the
 * truth to whoever reads once more, and Node has no public call for that: hence the two internals used here, both
 * unchanged for many releases. Where they are missing the end is believed as it comes.
 */
interface Internals {
  readonly _handle?: { readStart?(): number } | null
  readonly _readableState?: { autoDestroy: boolean }
}

/** Keeps `socket` alive when both directions have ended, so that the end can be looked at; the caller destroys it. */
export function keepAfterEnd(socket: Socket): void {
  const { _readableState: state } = socket as unknown as Internals
  if (state !== undefined) state.autoDestroy = false
}

/**
 * For a socket that emitted 'end': reads once more, then calls `done`. If it was a reset, 'error' comes before that.
 */
export function confirmEnd(socket: Socket, done: () => void): void {
  const { _handle: handle } = socket as unknown as Internals
  handle?.readStart?.()
  // the first of these may come before the loop has polled again, the second can't
  setImmediate(() => setImmediate(done))
}
