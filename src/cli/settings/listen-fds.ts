import { type Environment, optionError } from './environment.js'
import { NOTHING_PASSED, type PassedSockets, SOCKET_NAMES, type SocketName } from './passed-sockets.js'

/** The first one that is passed: SD_LISTEN_FDS_START. */
const FIRST_DESCRIPTOR = 3
/** Sockets that one process is passed. */
export const MAX_PASSED_SOCKETS = 192

/** What says which sockets are passed (sd_listen_fds(3)); not for the processes that this one starts. */
export const LISTEN_VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'] as const

/**
 * Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.
 * @param pid of this process
 * @throws {LinkSocksError} ERR_OPTION naming the variable
 */
export function readPassedSockets(env: Environment, pid: number): PassedSockets {
  const { LISTEN_PID: owner, LISTEN_FDS: count, LISTEN_FDNAMES: names } = env
  if (owner === undefined) return NOTHING_PASSED
  const listenPid = wholeNumber(owner)
  if (listenPid === undefined) throw optionError('LISTEN_PID', 'must be the number of a process')
  if (listenPid !== pid) {
    const reason =
      'LISTEN_PID names another process, so no socket is taken: start this one by exec, without a shell between'
    return {
      ...NOTHING_PASSED,
      notices: [{ level: 'warn', event: 'sockets.ignored', fields: { listenPid, pid, reason } }],
    }
  }
  if (count === undefined) throw optionError('LISTEN_FDS', 'is missing, and LISTEN_PID says that sockets are passed')
  const sockets = wholeNumber(count)
  if (sockets === undefined || sockets < 1 || sockets > MAX_PASSED_SOCKETS) {
    throw optionError('LISTEN_FDS', `must be the number of sockets, 1 to ${MAX_PASSED_SOCKETS}`)
  }
  const named = names === undefined || names === '' ? [] : names.split(':')
  if (named.length > 0 && named.length !== sockets) {
    throw optionError('LISTEN_FDNAMES', `has ${named.length} names, and LISTEN_FDS says ${sockets}`)
  }
  const all = Array.from({ length: sockets }, (_, index) => ({
    fd: FIRST_DESCRIPTOR + index,
    name: nameOf(named[index] ?? ''),
  }))
  return { sockets: all, notices: [] }
}

/** What systemd names after the unit, or not at all, is the main one. */
function nameOf(text: string): SocketName {
  const name = SOCKET_NAMES.find((known) => known === text)
  if (name !== undefined) return name
  if (text === '' || text === 'unknown' || text.endsWith('.socket')) return 'main'
  if (text === 'connection') {
    throw optionError('LISTEN_FDNAMES', 'a connection was passed, not a listening socket: the unit needs Accept=no')
  }
  throw optionError('LISTEN_FDNAMES', `a socket is named ${SOCKET_NAMES.join(', ')}, or after its unit (*.socket)`)
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined
}
