import { close, open } from 'node:fs'
import { devNull } from 'node:os'
import { errorCode } from './error-code.js'

/** How often one more descriptor is opened. */
const PROBE_MS = 1_000
/** EMFILE: the process has as many as it may (ulimit -n). ENFILE: the whole machine has. */
const OUT = ['EMFILE', 'ENFILE']

/** Opens something. `done` hears the code of an error, or nothing. */
export type OpenOne = (done: (code: string | undefined) => void) => void

/**
 * Looks whether the process may open one more file or socket. Where it may not, libuv closes the connections that come, and nobody hears
 * of them.
 * @param onChange called with `true` when there is none left, and with `false` when there is again; must not throw
 * @returns what ends it
 */
export function watchDescriptors(onChange: (out: boolean) => void, openOne: OpenOne = openDevNull): () => void {
  let out = false
  let asking = false
  let over = false
  const hear = (code: string | undefined): void => {
    asking = false
    const now = code !== undefined && OUT.includes(code)
    if (over || now === out) return
    out = now
    onChange(now)
  }
  const timer = setInterval(() => {
    if (asking) return
    asking = true
    openOne(hear)
  }, PROBE_MS)
  timer.unref()
  return () => {
    over = true
    clearInterval(timer)
  }
}

const openDevNull: OpenOne = (done) => {
  open(devNull, 'r', (error, descriptor) => {
    if (error !== null) return done(errorCode(error))
    close(descriptor, () => done(undefined))
  })
}
