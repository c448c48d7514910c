import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks of /proc/<pid>/stat: USER_HZ is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** The fields of /proc/<pid>/stat behind the name, which may hold spaces: [0] is the state. */
function stat(/** @type {number | string} */ pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/**
 * The processes and everything they started: sshd has a process for each connection.
 *
 * @param {readonly number[]} roots
 */
export function family(roots) {
  const parents = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), Number(stat(name)?.[1])]),
  )
  const found = new Set(roots)
  for (let grew = true; grew; ) {
    const size = found.size
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid)
    grew = found.size > size
  }
  return [...found]
}

/**
 * CPU time that the processes used so far: user and system.
 *
 * @param {readonly number[]} pids
 */
export function cpuSeconds(pids) {
  const ticks = pids.map((pid) => {
    const fields = stat(pid)
    return fields === undefined ? 0 : Number(fields[11]) + Number(fields[12])
  })
  return ticks.reduce((sum, value) => sum + value, 0) / TICKS_PER_SECOND
}

/** Resident memory of a process in KiB; 0 once it is gone. */
export function rssKib(/** @type {number} */ pid) {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** Share of all cores that was busy between two calls. */
export function busyMeter() {
  const read = () => {
    const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] =
      readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.trim().split(/\s+/).slice(1).map(Number) ?? []
    const busy = user + nice + system + irq + soft + steal
    return { busy, all: busy + idle + wait }
  }
  const before = read()
  return () => {
    const after = read()
    return (after.busy - before.busy) / Math.max(1, after.all - before.all)
  }
}
