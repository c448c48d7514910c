// Loaded before the program: the time of day jumps a day ahead after a second and two days back after two.
const HOUR_MS = 3_600_000
const real = Date.now
const began = performance.now()

const jumpMs = () => {
  const age = performance.now() - began
  if (age < 1_000) return 0
  return age < 2_000 ? 24 * HOUR_MS : -24 * HOUR_MS
}

globalThis.Date = class extends Date {
  constructor(...args) {
    if (args.length === 0) super(real() + jumpMs())
    else super(...args)
  }

  static now() {
    return real() + jumpMs()
  }
}
