import { randomFillSync } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sha256 } from '../../../support/e2e/scene.js'

export interface TreeOptions {
  readonly files: number
  /** Of the largest file; the others are smaller, and some are empty. */
  readonly maxBytes: number
}

/** Fills a folder with files of many sizes in some levels of folders. */
export function growTree(root: string, { files, maxBytes }: TreeOptions): void {
  for (let index = 0; index < files; index++) {
    const at = join(root, `branch ${index % 7}`, `twig-${index % 3}`)
    mkdirSync(at, { recursive: true })
    // most are small, as in real trees
    const size = Math.floor(maxBytes * (index / (files - 1)) ** 8)
    writeFileSync(join(at, `leaf-${index}`), randomFillSync(Buffer.alloc(size)))
  }
}

/** The digest of each file below a folder, by its path. */
export function treeDigests(root: string): Record<string, string> {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort()
  return Object.fromEntries(paths.map((path) => [path.slice(root.length), sha256(readFileSync(path))]))
}
