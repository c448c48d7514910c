// Loaded before the program: on SIGUSR2 timers of EARLY_MS and more come at once, and a line of the log says so.
const least = Number(process.env.EARLY_MS)
const { setTimeout: after, clearTimeout: cancel } = globalThis
const waiting = new Map()

globalThis.setTimeout = (callback, ms, ...args) => {
  if (!(ms >= least)) return after(callback, ms, ...args)
  const come = () => {
    waiting.delete(timer)
    callback(...args)
  }
  const timer = after(come, ms)
  waiting.set(timer, come)
  return timer
}

globalThis.clearTimeout = (timer) => {
  waiting.delete(timer)
  cancel(timer)
}

process.on('SIGUSR2', () => {
  for (const [timer, come] of [...waiting]) {
    cancel(timer)
    if (waiting.has(timer)) come()
  }
  process.stderr.write(`${JSON.stringify({ level: 'info', event: 'test.timers' })}\n`)
})
