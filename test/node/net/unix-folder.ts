import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd } from '../../support/at-end.js'

/** The path of a Unix domain socket that is not there yet, in a folder that is gone after the test. */
export function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ls-'))
  atEnd(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'a.sock')
}
