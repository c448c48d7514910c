import { isPort, MAX_PORT } from '../address.js'

/** A port of a rule, or the first and last of several. @returns the first and last, or why they are none */
export function portRange(port: number | readonly [number, number]): [number, number] | string {
  const [first, last] = typeof port === 'number' ? [port, port] : port
  if (isPort(first) && isPort(last) && first <= last) return [first, last]
  return `a port must be from 1 to ${MAX_PORT}, or two of them as [low, high]`
}
