import { readFileSync } from 'node:fs'
import { PACKAGE_ROOT } from './package-root.js'

/** Read once: an upgrade may replace the file while this process runs. */
let version: string | undefined

/** The version that package.json names. */
export function packageVersion(): string {
  version ??= readVersion()
  return version
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('package.json', PACKAGE_ROOT), 'utf8'))
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version)
  return 'unknown'
}
