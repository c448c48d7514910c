import { readText } from '../../project/support.js'

export const UNITS = ['server', 'provider', 'connector'] as const
export type UnitName = (typeof UNITS)[number]

export const SOCKET = 'deploy/systemd/linksocks-server.socket'

/** A unit's settings in the order of the file: name and value. */
export type Unit = readonly (readonly [string, string])[]

export function unitPath(name: UnitName): string {
  return `deploy/systemd/linksocks-${name}.service`
}

export async function readUnit(name: UnitName): Promise<Unit> {
  return await readSettings(unitPath(name))
}

export async function readSettings(path: string): Promise<Unit> {
  const lines = (await readText(path)).split('\n').filter((line) => /^\w+=/.test(line))
  return lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const)
}

/** Every value of a setting, in order. */
export function settings(unit: Unit, name: string): readonly string[] {
  return unit.filter(([each]) => each === name).map(([, value]) => value)
}
