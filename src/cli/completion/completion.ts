import type { CommandSpec, Shell } from '../settings/command-spec.js'
import { bashScript } from './completion-bash.js'
import { fishScript } from './completion-fish.js'
import { completionTree } from './completion-tree.js'
import { zshScript } from './completion-zsh.js'

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const

/** The script that completes `linksocks` in a shell. */
export function completionScript(shell: Shell, commands: readonly CommandSpec[]): string {
  return SCRIPTS[shell](completionTree(commands))
}
