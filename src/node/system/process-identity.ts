import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { errorCode } from './error-code.js'

/** What tells one process from all others, also from later ones with its number. */
export interface ProcessIdentity {
  readonly pid: number
  readonly host: string
  /** When it began, on which start of which machine, and where its number counts; `undefined` where the system does not say (all but Linux). */
  readonly start?: string | undefined
}

/** That of this process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, host: hostname(), start: startOf(process.pid) }
}

/** Whether it runs, and is the one that is meant. `undefined`: that can't be told from here, as of one on another machine, in another container, or hidden from this one. */
export function isRunning({ pid, start }: Pick<ProcessIdentity, 'pid' | 'start'>): boolean | undefined {
  const own = startOf(process.pid)
  if (start === undefined || own === undefined || placeOf(start) !== placeOf(own)) return undefined
  const now = startOf(pid)
  if (now !== undefined) return now === start
  // it may be there, and hidden from this one (ProtectProc=, hidepid=)
  return exists(pid) ? undefined : false
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (thrown) {
    return errorCode(thrown) !== 'ESRCH'
  }
}

/** As `<start of the machine> <namespace of numbers> <ticks from one to the other>` (proc(5)). */
function startOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    const namespace = readlinkSync('/proc/self/ns/pid')
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // a name in parentheses, which may hold some itself, and from the state on one field after the other: starttime is the 22nd
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return ticks === undefined ? undefined : `${boot} ${namespace} ${ticks}`
  } catch {
    return undefined
  }
}

function placeOf(start: string): string {
  return start.slice(0, start.lastIndexOf(' '))
}
