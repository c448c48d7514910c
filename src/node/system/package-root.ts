import { existsSync } from 'node:fs'

/** How far below the package's folder its modules lie at most: `dist/node/system` is three folders down. */
const MAX_DEPTH = 3

/** The folder that holds package.json: modules lie at another depth in the bundle of the command than in the library. */
export const PACKAGE_ROOT: URL = packageRoot(new URL('.', import.meta.url), MAX_DEPTH)

function packageRoot(folder: URL, depth: number): URL {
  if (depth === 0 || existsSync(new URL('package.json', folder))) return folder
  return packageRoot(new URL('..', folder), depth - 1)
}
