import { spawnSync } from 'node:child_process'

/**
 * Arguments of `unshare`: mounts a file system of `size` that only this command and the processes it starts see. Followed by where,
 * and by the command, which is given where.
 */
export function mounted(size: string): string[] {
  return ['-m', 'sh', '-c', `mount -t tmpfs -o size=${size} tmpfs "$1" && exec "$2" "$3" "$1"`, 'sh']
}

/** Why {@link mounted} does not work here, or `undefined`. */
export function withoutMount(): string | undefined {
  const probe = spawnSync('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'], { encoding: 'utf8' })
  if (probe.status === 0) return undefined
  return `no file system of its own can be mounted here: ${probe.error?.message ?? probe.stderr.trim()}`
}
