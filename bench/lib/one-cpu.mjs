import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { programPath } from './tools.mjs'

/** The CPUs that a process may run on, as the kernel writes them: `0-3,8`; nothing once it is gone. */
export function cpusOf(/** @type {number} */ pid) {
  try {
    return /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
  } catch {
    return ''
  }
}

/** The first CPU of such a list. */
export const firstCpu = (/** @type {string} */ list) => `${Number.parseInt(list, 10)}`

/** Why nothing can be measured on one CPU here, if so. */
export function oneCpuMissing() {
  const program = programPath('taskset')
  if (program === undefined) return 'taskset is not installed: no rows on one core'
  const { status, stderr } = spawnSync(program, ['-c', firstCpu(cpusOf(process.pid)), 'true'], { encoding: 'utf8' })
  return status === 0 ? undefined : `taskset doesn't work: no rows on one core: ${stderr?.trim() ?? ''}`
}

/**
 * Gives this program one CPU while `action` runs. Every process that is started meanwhile inherits it, whoever wrote it;
 * those that run already keep theirs.
 *
 * @param {(cpu: string) => Promise<void>} action
 */
export async function onOneCpu(action) {
  const all = cpusOf(process.pid)
  const cpu = firstCpu(all)
  allow(cpu)
  try {
    await action(cpu)
  } finally {
    allow(all)
  }
}

function allow(/** @type {string} */ cpus) {
  // the main thread's: it is the one that starts processes
  const { status, stderr } = spawnSync('taskset', ['-cp', cpus, `${process.pid}`], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`taskset failed: ${stderr?.trim() ?? ''}`)
}
