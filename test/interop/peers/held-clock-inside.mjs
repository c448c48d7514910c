// Preloaded into a program of ours (held-clock.ts): its clock stands still, and moves on as far as the test says.
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

/** Shorter waits pass by themselves: they only hold bytes back for others that may follow. */
const SHORT_MS = 100

const { setTimeout: setShort, clearTimeout: clearShort } = globalThis
let now = performance.now()
/** @type {Set<Held>} */
const waiting = new Set()

class Held {
  /**
   * @param {() => void} callback
   * @param {number} delayMs
   */
  constructor(callback, delayMs) {
    this.callback = callback
    this.due = now + delayMs
    waiting.add(this)
  }

  ref() {
    return this
  }

  unref() {
    return this
  }
}

performance.now = () => now
globalThis.setTimeout = (callback, delayMs = 0, ...args) =>
  delayMs < SHORT_MS ? setShort(callback, delayMs, ...args) : new Held(() => callback(...args), delayMs)
globalThis.clearTimeout = (timer) => {
  if (timer instanceof Held) waiting.delete(timer)
  else clearShort(timer)
}

/** @param {number} end */
function nextDue(end) {
  const due = [...waiting].filter((timer) => timer.due <= end)
  return due.sort((a, b) => a.due - b.due)[0]
}

/** Runs what falls due in its order, with the I/O that is there in between. @param {number} ms */
async function advance(ms) {
  const end = now + ms
  for (let timer = nextDue(end); timer !== undefined; timer = nextDue(end)) {
    waiting.delete(timer)
    now = Math.max(now, timer.due)
    timer.callback()
    await new Promise((resolve) => setImmediate(resolve))
  }
  now = end
}

const socket = connect(Number(process.env.HELD_CLOCK_PORT), '127.0.0.1')
createInterface({ input: socket }).on('line', async (ms) => {
  await advance(Number(ms))
  socket.write('\n')
})
