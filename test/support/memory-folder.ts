import { accessSync, constants } from 'node:fs'
import { tmpdir } from 'node:os'

const MEMORY = '/dev/shm'

/**
 * Where a temporary folder costs no wait for a disk. Good for everything that survives the end of a process: only the end of
 * the machine tells it from a disk.
 */
export function memoryFolder(): string {
  try {
    accessSync(MEMORY, constants.R_OK | constants.W_OK | constants.X_OK)
    return MEMORY
  } catch {
    return tmpdir()
  }
}
