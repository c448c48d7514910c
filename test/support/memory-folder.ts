import { accessSync, constants } from 'node:fs'
import { tmpdir } from 'node:os'

const MEMORY = '/dev/shm'

/** A temporary folder in memory, where there is one: it survives a killed process as a disk does, and is lost only on reboot. */
export function memoryFolder(): string {
  try {
    accessSync(MEMORY, constants.R_OK | constants.W_OK | constants.X_OK)
    return MEMORY
  } catch {
    return tmpdir()
  }
}
