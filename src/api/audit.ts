import { type LogFields, type Logger, remoteText } from '../log.js'
import type { Exchange } from './route.js'

/** Writes the one line that every change leaves: whose key, what, from where. */
export type Audit = (action: string, exchange: Pick<Exchange, 'key' | 'remoteAddress'>, fields: LogFields) => void

export function createAudit(log: Logger): Audit {
  return (action, { key, remoteAddress }, fields) =>
    log.info('api.audit', { key: key?.name, action, ...fields, remote: remoteText(remoteAddress) })
}
