import { fileURLToPath } from 'node:url'

const MODULE = fileURLToPath(new URL('jumping-clock.mjs', import.meta.url))

/** The environment of a process whose time of day jumps, by one of `jumpsMs` with each SIGUSR2; then no more. */
export function jumpingClock(...jumpsMs: readonly number[]): {
  readonly NODE_OPTIONS: string
  readonly JUMPS_MS: string
} {
  return { NODE_OPTIONS: `--import=${MODULE}`, JUMPS_MS: jumpsMs.join(' ') }
}
