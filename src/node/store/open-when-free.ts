import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { LinkSocksError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { AbortOptions, Clock } from '../../ports.js'
import { errorCode } from '../system/error-code.js'
import { isRunning } from '../system/process-identity.js'
import { isInUse } from './store-errors.js'
import { mayAsk, ownerText, readOwner, type StoreOwner, withdrawRequest } from './store-owner.js'

/** How often a data directory that is in use is tried again. */
export const STORE_RETRY_MS = 50

export interface OpenWhenFreeOptions extends AbortOptions {
  readonly directory: string
  /** Milliseconds that another process may keep it; 0 is not at all. */
  readonly waitMs: number
  /** Ask that process to end, as SIGTERM does. */
  readonly takeOver: boolean
  /** Looks whether this process could go on in the place of `owner`. @throws {LinkSocksError} ERR_STORE: the owner is left alone */
  readonly check?: ((owner: StoreOwner) => Promise<void>) | undefined
  readonly log: Logger
  readonly clock: Clock
  /** @default that of the system */
  readonly kill?: ((pid: number, signal: 'SIGTERM') => void) | undefined
  /** Settles later, or rejects when it is cancelled. @default after {@link STORE_RETRY_MS} */
  readonly pause?: ((options: AbortOptions) => Promise<unknown>) | undefined
}

/**
 * Opens a store once no other process has it.
 * @throws {LinkSocksError} ERR_CANCELLED, and what `open` throws: ERR_STORE, which says who has it
 */
export async function openWhenFree<T>(open: () => Promise<T>, options: OpenWhenFreeOptions): Promise<T> {
  const { directory, waitMs, takeOver, log, clock, signal, pause = briefly } = options
  const until = clock.now() + waitMs
  let asked: StoreOwner | undefined
  let isTold = false
  for (let attempt = 1; ; attempt += 1) {
    if (signal?.aborted === true) throw LinkSocksError.cancelled(signal)
    try {
      return await open()
    } catch (thrown) {
      if (!isInUse(thrown) || clock.now() >= until) throw thrown
    }
    const owner = await readOwner(directory)
    if (attempt === 1) {
      log.info('store.waiting', { path: resolve(directory), owner: owner && ownerText(owner), limitMs: waitMs })
    }
    // a second request would cut its drain short
    if (takeOver && owner !== undefined && !isSame(owner, asked)) {
      await options.check?.(owner)
      if (await mayAsk(directory, owner)) {
        asked = owner
        await askToEnd(owner, options)
      } else if (!isTold) {
        // it drains already, or another process asks it: if nothing comes of that, this one does
        isTold = true
        log.info('store.asked-already', { owner: ownerText(owner) })
      }
    }
    // a look at the signal follows
    await pause({ signal }).catch(() => {})
  }
}

async function askToEnd(
  owner: StoreOwner,
  { directory, log, kill = process.kill }: OpenWhenFreeOptions,
): Promise<void> {
  const { pid } = owner
  // a number alone may be another program's by now
  if (pid === process.pid || isRunning(owner) !== true) {
    const reason = 'it runs on another machine or in another container, or is hidden from this one: end it yourself'
    await withdrawRequest(directory)
    return log.warn('store.no-take-over', { owner: ownerText(owner), reason })
  }
  try {
    kill(pid, 'SIGTERM')
    log.info('store.take-over', { owner: ownerText(owner) })
  } catch (thrown) {
    await withdrawRequest(directory)
    const reason = errorCode(thrown) === 'EPERM' ? 'it belongs to another user' : errorCode(thrown)
    log.warn('store.no-take-over', { owner: ownerText(owner), reason })
  }
}

function isSame(owner: StoreOwner, other: StoreOwner | undefined): boolean {
  return owner.pid === other?.pid && owner.start === other.start && owner.host === other.host
}

/** Keeps the process alive, unlike the timers of the clock. */
function briefly({ signal }: AbortOptions): Promise<unknown> {
  return setTimeout(STORE_RETRY_MS, undefined, { signal })
}
