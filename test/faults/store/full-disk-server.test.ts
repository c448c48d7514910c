import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../project/support.js'
import { mounted, withoutMount } from './own-mount.js'

describe('a server whose disk is full', () => {
  it('answers 507, keeps what it has in memory and on disk, and goes on when there is room', {
    timeout: 120_000,
  }, async ({ skip }) => {
    const reason = withoutMount()
    skip(reason !== undefined, reason)
    const folder = await mkdtemp(join(tmpdir(), 'linksocks-full-'))
    try {
      const args = [...mounted('192k'), folder, process.execPath, 'test/faults/store/full-disk-server.mjs']
      const { stdout } = await promisify(execFile)('unshare', args, { cwd: ROOT })
      expect(JSON.parse(stdout)).toEqual({
        post: [507, { success: false, error: 'not stored' }],
        some: true,
        full: 'ENOSPC',
        refused: expect.arrayContaining(['PATCH', 'DELETE']),
        asAnswered: true,
        alarms: ['not-stored'],
        sameAfterStart: true,
        again: [200, 200],
        alarmsAgain: [],
        sameAtLast: true,
      })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
