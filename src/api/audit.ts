/** The log of changes: whose key, what, from where. */
import { type LogFields, type Logger, remoteText } from '../log.js'
import type { KeyHolder } from './keys.js'

interface Requester {
  readonly key: KeyHolder | undefined
  readonly remoteAddress: string
}

/** Writes the one line that every change leaves. */
export type Audit = (action: string, requester: Requester, fields: LogFields) => void

export function createAudit(log: Logger): Audit {
  return (action, { key, remoteAddress }, fields) =>
    log.info('api.audit', { key: key?.name, action, ...fields, remote: remoteText(remoteAddress) })
}
