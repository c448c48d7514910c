import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { MAX_NOTIFY_ERROR_CHARACTERS, NOTIFY_TIMEOUT_MS, ServiceNotifier } from '../../src/cli/service-notify.js'
import { silentLogger } from '../../src/log.js'
import { atEnd } from '../support/at-end.js'
import { until } from '../support/wait.js'
import { run } from './harness.js'

const SOCKET = '/run/systemd/notify'
/** Writes its arguments down, and the names of the variables that it was given. */
const RECORD = `IFS='|'; echo "$*|$NOTIFY_SOCKET" >> "$0.calls"`

afterEach(() => {
  vi.useRealTimers()
})

/** A folder with a program named systemd-notify, made of these lines of a shell; without any there is no program. */
function fakeProgram(script?: string) {
  const folder = mkdtempSync(join(tmpdir(), 'linksocks-'))
  atEnd(() => rmSync(folder, { recursive: true }))
  const program = join(folder, 'systemd-notify')
  if (script !== undefined) {
    writeFileSync(program, `#!/bin/sh\n${script}\n`)
    chmodSync(program, 0o755)
  }
  const calls = (): readonly string[] =>
    existsSync(`${program}.calls`) ? readFileSync(`${program}.calls`, 'utf8').split('\n').filter(Boolean) : []
  const env = { NOTIFY_SOCKET: SOCKET, PATH: script === undefined ? folder : `${folder}:/usr/bin:/bin` }
  return { env, calls, program, go: () => writeFileSync(`${program}.go`, '') }
}

function notifierWith(script?: string) {
  const fake = fakeProgram(script)
  const warn = vi.fn()
  const { notify } = new ServiceNotifier({ ...fake.env, SECRET: 'x' }, { ...silentLogger, warn })
  return { ...fake, warn, notify }
}

describe('ServiceNotifier', () => {
  it('calls systemd-notify with what changed', async () => {
    const { notify, calls, warn } = notifierWith(RECORD)
    notify({ ready: true, status: 'listening on ws://127.0.0.1:8765' })
    await until(() => calls().length === 1)
    expect(calls()).toEqual([`READY=1|STATUS=listening on ws://127.0.0.1:8765|${SOCKET}`])
    expect(warn).not.toHaveBeenCalled()
  })

  it('gives it NOTIFY_SOCKET and PATH, and nothing else of the environment', async () => {
    const { notify, calls } = notifierWith(`env | sed 's/=.*//' | grep -vxE 'PWD|_|SHLVL|OLDPWD' | sort >> "$0.calls"`)
    notify({ stopping: true })
    await until(() => calls().length > 1)
    expect(calls()).toEqual(['NOTIFY_SOCKET', 'PATH'])
  })

  it('makes one call after the other, and one of all that came during a call', async () => {
    const { notify, calls, go } = notifierWith(`${RECORD}\nwhile [ ! -e "$0.go" ]; do sleep 0.01; done`)
    notify({ status: 'one' })
    await until(() => calls().length === 1)
    for (const status of ['two', 'three']) notify({ status })
    notify({ ready: true })
    notify({ stopping: true, status: 'four' })
    go()
    await until(() => calls().length === 2)
    expect(calls()).toEqual([`STATUS=one|${SOCKET}`, `READY=1|STOPPING=1|STATUS=four|${SOCKET}`])
  })

  it('keeps a status to one line of a bounded length', async () => {
    const { notify, calls } = notifierWith(RECORD)
    notify({ status: `a\nREADY=1${'b'.repeat(10_000)}` })
    await until(() => calls().length === 1)
    expect(calls()[0]).toMatch(/^STATUS=a\\u\{a\}READY=1b+\.\.\.\|/)
  })

  it('warns once where the program is missing, and asks for it no more', async () => {
    const { notify, warn } = notifierWith()
    notify({ ready: true })
    notify({ status: 'x' })
    await until(() => warn.mock.calls.length > 0)
    notify({ stopping: true })
    const reason = 'systemd-notify is not installed: the service manager does not learn whether the program is ready'
    expect(warn.mock.calls).toEqual([['service.notify-failed', { reason }]])
  })

  it('warns once with what a program that fails says, and calls it again', async () => {
    const { notify, calls, warn } = notifierWith(`${RECORD}\necho 'No such file or directory' >&2; exit 1`)
    notify({ ready: true })
    await until(() => warn.mock.calls.length === 1)
    notify({ stopping: true })
    await until(() => calls().length === 2)
    expect(warn.mock.calls).toEqual([
      ['service.notify-failed', { reason: 'systemd-notify: No such file or directory' }],
    ])
  })

  it('keeps no more of what a program says than MAX_NOTIFY_ERROR_CHARACTERS', async () => {
    const { notify, warn } = notifierWith(`head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1`)
    notify({ ready: true })
    await until(() => warn.mock.calls.length === 1)
    expect(String(warn.mock.calls[0]?.[1].reason).length).toBeLessThan(MAX_NOTIFY_ERROR_CHARACTERS)
  })

  it('ends a program that takes longer than NOTIFY_TIMEOUT_MS', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { notify, warn } = notifierWith('exec sleep 1000')
    notify({ ready: true })
    vi.advanceTimersByTime(NOTIFY_TIMEOUT_MS)
    vi.useRealTimers()
    await until(() => warn.mock.calls.length === 1)
    const reason = `systemd-notify: no end within ${NOTIFY_TIMEOUT_MS} ms`
    expect(warn.mock.calls).toEqual([['service.notify-failed', { reason }]])
  })
})

describe('the command with NOTIFY_SOCKET', () => {
  it.each([[['server', '-t', 'SECRET']], [['provider', '-t', 'SECRET']]])(
    '%j says that it runs, and that it ends',
    async (argv) => {
      const { env, calls } = fakeProgram(RECORD)
      const { code } = await run(argv, env)
      expect(code).toBe(0)
      await until(() => calls().some((call) => call.includes('STOPPING=1')))
      const words = calls().flatMap((call) => call.split('|'))
      expect(words.filter((word) => /^(READY|STOPPING)=/.test(word))).toEqual(['READY=1', 'STOPPING=1'])
      expect(calls().join()).toContain('STATUS=closing')
    },
  )

  it('does not say that it runs when it could not start', async () => {
    const { env, calls } = fakeProgram(RECORD)
    const start = async (): Promise<void> => {
      throw new Error('no')
    }
    expect((await run(['server', '-t', 'SECRET'], env, { start })).code).toBe(1)
    await until(() => calls().length === 1)
    expect(calls()).toEqual([`STOPPING=1|STATUS=closing|${SOCKET}`])
  })

  it('calls nothing without it', async () => {
    const { env, calls } = fakeProgram(RECORD)
    const { io } = await run(['server', '-t', 'SECRET'], { ...env, NOTIFY_SOCKET: '' })
    expect([calls(), io.err.includes('notify')]).toEqual([[], false])
  })
})
