// Loaded before the program: at SIGUSR2 the time of day jumps two hours ahead.
const JUMP_MS = 2 * 3_600_000
const real = Date.now
let ahead = 0
process.on('SIGUSR2', () => {
  ahead = JUMP_MS
})

globalThis.Date = class extends Date {
  constructor(...args) {
    if (args.length === 0) super(real() + ahead)
    else super(...args)
  }

  static now() {
    return real() + ahead
  }
}
