import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it, onTestFinished, vi } from 'vitest'
import { memoryFolder } from '../../support/memory-folder.js'

it('names the version that this process runs, also when its folder is replaced or gone', async () => {
  const folder = mkdtempSync(join(memoryFolder(), 'linksocks-version-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const manifest = join(folder, 'package.json')
  vi.doMock('../../../src/node/system/package-root.js', () => ({ PACKAGE_ROOT: pathToFileURL(`${folder}/`) }))
  vi.resetModules()
  const { packageVersion } = await import('../../../src/node/system/package-version.js')
  writeFileSync(manifest, '{"version":"1.2.3"}')
  expect(packageVersion()).toBe('1.2.3')
  writeFileSync(manifest, '{"version":"4.5.6"}')
  expect(packageVersion()).toBe('1.2.3')
  rmSync(manifest)
  expect(packageVersion()).toBe('1.2.3')
})
