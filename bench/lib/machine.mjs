import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { busyMeter } from './proc.mjs'

/** Files that a process may have open here. */
export function descriptors() {
  const limits = readFileSync('/proc/self/limits', 'utf8')
  return Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1] ?? 1_024)
}

/** What the figures depend on, besides the programs. */
export async function machine() {
  const busy = busyMeter()
  await sleep(1_000)
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release().split('-')[0]}`,
    node: process.version,
    descriptors: descriptors(),
    /** Share of all cores that others used in the second before the run, and the load average. */
    busyBefore: Number(busy().toFixed(3)),
    loadBefore: Number((loadavg()[0] ?? 0).toFixed(2)),
  }
}
