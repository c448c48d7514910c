import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { isRunning, ownIdentity } from '../../../src/node/system/process-identity.js'

const isLinux = process.platform === 'linux'

describe('ownIdentity()', () => {
  it('is the same each time', () => {
    expect(ownIdentity()).toEqual(ownIdentity())
    expect(ownIdentity()).toMatchObject({ pid: process.pid })
  })
})

describe.runIf(isLinux)('isRunning()', () => {
  it('is true of this process, and false of another start of its number', () => {
    const own = ownIdentity()
    expect(isRunning(own)).toBe(true)
    expect(isRunning({ ...own, start: `${own.start}1` })).toBe(false)
  })

  it('is false of a process that has ended', async () => {
    const child = spawn('sleep', ['100'])
    const { pid = 0 } = child
    const { start = '' } = ownIdentity()
    const place = start.slice(0, start.lastIndexOf(' '))
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(isRunning({ pid, start: `${place} 1` })).toBe(false)
  })

  it('is not known of a process elsewhere, or one without a start', () => {
    const own = ownIdentity()
    expect(isRunning({ ...own, start: undefined })).toBeUndefined()
    expect(isRunning({ ...own, start: `another-boot pid:[1] 5` })).toBeUndefined()
  })
})
