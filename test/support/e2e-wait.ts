import { setTimeout as sleep } from 'node:timers/promises'

/** Longest wait for anything that takes no time of its own. */
export const WAIT_MS = 8_000
const POLL_MS = 25

/** What `promise` gives. @throws when that takes longer than `limitMs`; `what` says what was waited for */
export async function within<T>(promise: Promise<T>, what: string | (() => string), limitMs = WAIT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no ${typeof what === 'string' ? what : what()} within ${limitMs} ms`))
    }, limitMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Asks `probe` again and again until it gives something; for what other processes don't announce. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  limitMs = WAIT_MS,
): Promise<T> {
  const end = Date.now() + limitMs
  for (;;) {
    const found = await probe()
    if (found !== undefined) return found
    if (Date.now() > end) throw new Error(`no ${what} within ${limitMs} ms`)
    await sleep(POLL_MS)
  }
}
