// Loaded before the program: on SIGUSR2 the time of day jumps a day ahead, and the next time two days back.
const HOUR_MS = 3_600_000
const real = Date.now
const jumps = [24 * HOUR_MS, -48 * HOUR_MS]
let aheadMs = 0

process.on('SIGUSR2', () => {
  aheadMs += jumps.shift() ?? 0
})

globalThis.Date = class extends Date {
  constructor(...args) {
    if (args.length === 0) super(real() + aheadMs)
    else super(...args)
  }

  static now() {
    return real() + aheadMs
  }
}
