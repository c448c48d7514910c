import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../project/support.js'
import { mounted, withoutMount } from './own-mount.js'

describe('a server whose data directory becomes read-only', () => {
  it('answers every change 507 with the alarm and keeps what it has, and goes on when it is writable', {
    timeout: 120_000,
  }, async ({ skip }) => {
    const reason = withoutMount()
    skip(reason !== undefined, reason)
    const folder = await mkdtemp(join(tmpdir(), 'linksocks-read-only-'))
    try {
      const args = [...mounted('4m'), folder, process.execPath, 'test/faults/store/read-only-server.mjs']
      const { stdout } = await promisify(execFile)('unshare', args, { cwd: ROOT })
      expect(JSON.parse(stdout)).toEqual({
        readOnly: { statuses: [507, 507, 507, 507], alarms: ['not-stored'], labels: ['one', 'two'] },
        writable: { statuses: [200, 200, 200, 204], alarms: [], labels: ['two', 'four'] },
        afterStart: ['two', 'four'],
      })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
