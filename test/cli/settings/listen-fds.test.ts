import { describe, expect, it } from 'vitest'
import { LISTEN_VARIABLES, MAX_PASSED_SOCKETS, readPassedSockets } from '../../../src/cli/settings/listen-fds.js'

const PID = 100
const read = (env: Readonly<Record<string, string>>) => readPassedSockets(env, PID)

describe('readPassedSockets()', () => {
  it('reads nothing without LISTEN_PID', () => {
    expect(read({ LISTEN_FDS: 'many', LISTEN_FDNAMES: 'x' })).toEqual({ sockets: [], notices: [] })
  })

  it('takes descriptors from 3 on, by their names', () => {
    const names = ['http', 'tls', 'socks', 'metrics', 'acme', 'unknown', 'relay.socket', '']
    const env = { LISTEN_PID: '100', LISTEN_FDS: '8', LISTEN_FDNAMES: names.join(':') }
    const named = ['http', 'tls', 'socks', 'metrics', 'acme', 'main', 'main', 'main']
    expect(read(env)).toEqual({ sockets: named.map((name, index) => ({ fd: 3 + index, name })), notices: [] })
  })

  it.each(['', undefined])('takes them for the main listener without names (%j)', (names) => {
    const env = { LISTEN_PID: '100', LISTEN_FDS: '2', ...(names !== undefined && { LISTEN_FDNAMES: names }) }
    expect(read(env).sockets).toEqual([
      { fd: 3, name: 'main' },
      { fd: 4, name: 'main' },
    ])
  })

  it('takes nothing that is for another process, and says so', () => {
    const { sockets, notices } = read({ LISTEN_PID: '99', LISTEN_FDS: '1' })
    expect(sockets).toEqual([])
    expect(notices).toMatchObject([{ level: 'warn', event: 'sockets.ignored', fields: { listenPid: 99, pid: PID } }])
    expect(JSON.stringify(notices)).toContain('start this one by exec')
  })

  it('takes as many as there may be', () => {
    expect(read({ LISTEN_PID: '100', LISTEN_FDS: `${MAX_PASSED_SOCKETS}` }).sockets).toHaveLength(MAX_PASSED_SOCKETS)
  })

  it.each<[Record<string, string>, string]>([
    [{ LISTEN_PID: '' }, 'LISTEN_PID: must be the number of a process'],
    [{ LISTEN_PID: '$$' }, 'LISTEN_PID: must be the number of a process'],
    [{ LISTEN_PID: '-1' }, 'LISTEN_PID: must be the number of a process'],
    [{ LISTEN_PID: '100' }, 'LISTEN_FDS: is missing, and LISTEN_PID says that sockets are passed'],
    [{ LISTEN_PID: '100', LISTEN_FDS: '' }, 'LISTEN_FDS: must be the number of sockets, 1 to 192'],
    [{ LISTEN_PID: '100', LISTEN_FDS: '0' }, 'LISTEN_FDS: must be the number of sockets, 1 to 192'],
    [{ LISTEN_PID: '100', LISTEN_FDS: 'two' }, 'LISTEN_FDS: must be the number of sockets, 1 to 192'],
    [{ LISTEN_PID: '100', LISTEN_FDS: '1.5' }, 'LISTEN_FDS: must be the number of sockets, 1 to 192'],
    [
      { LISTEN_PID: '100', LISTEN_FDS: `${MAX_PASSED_SOCKETS + 1}` },
      'LISTEN_FDS: must be the number of sockets, 1 to 192',
    ],
    [
      { LISTEN_PID: '100', LISTEN_FDS: '2', LISTEN_FDNAMES: 'http' },
      'LISTEN_FDNAMES: has 1 names, and LISTEN_FDS says 2',
    ],
    [
      { LISTEN_PID: '100', LISTEN_FDS: '1', LISTEN_FDNAMES: 'http:' },
      'LISTEN_FDNAMES: has 2 names, and LISTEN_FDS says 1',
    ],
    [
      { LISTEN_PID: '100', LISTEN_FDS: '1', LISTEN_FDNAMES: 'https' },
      'LISTEN_FDNAMES: a socket is named http, tls, socks, metrics, acme, or after its unit (*.socket)',
    ],
    [
      { LISTEN_PID: '100', LISTEN_FDS: '1', LISTEN_FDNAMES: 'connection' },
      'LISTEN_FDNAMES: a connection was passed, not a listening socket: the unit needs Accept=no',
    ],
  ])('refuses %j', (env, message) => {
    expect(() => read(env)).toThrow(expect.objectContaining({ code: 'ERR_OPTION', message }))
  })

  it('knows what systemd sets', () => {
    expect(LISTEN_VARIABLES).toEqual(['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'])
  })
})
