import type { Flag } from './flags.js'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** A command as `--help` and shell completion show it. */
export interface CommandSpec {
  /** Its own word: `add` of `token add`. */
  readonly name: string
  readonly summary: string
  /** Below the flags in `--help`. */
  readonly examples?: string
  readonly flags?: readonly Flag[]
  /** Arguments without a flag, as commander writes them: `<id...>`. */
  readonly words?: string
  /** What these may be. */
  readonly choices?: readonly string[]
  /** What it is divided into; such a command does nothing itself. */
  readonly commands?: readonly CommandSpec[]
}
