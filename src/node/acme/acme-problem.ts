import { LinkSocksError } from '../../errors.js'
import { remoteText } from '../../log.js'

/** Why an authority did not do what it was asked for, and when it may be asked again. */
export class AcmeProblem extends LinkSocksError {
  /** Of a problem document (RFC 8555 section 6.7), without what all have in common: `rateLimited`. */
  readonly type: string | undefined
  /** Milliseconds that the authority wants to be left alone for. */
  readonly retryAfterMs: number | undefined
  /** The name could not be validated in this way; another one may do. */
  readonly isValidation: boolean
  /** Nothing was decided: the request did not get through, or the authority is out of order for now. */
  readonly isPassing: boolean

  constructor(message: string, options: AcmeProblemOptions = {}) {
    super('ERR_CONNECT', message, { cause: options.cause })
    this.type = options.type
    this.retryAfterMs = options.retryAfterMs
    this.isValidation = options.isValidation ?? false
    this.isPassing = options.isPassing ?? false
  }
}

interface AcmeProblemOptions {
  readonly type?: string | undefined
  readonly retryAfterMs?: number | undefined
  /** @default false */
  readonly isValidation?: boolean | undefined
  /** @default false */
  readonly isPassing?: boolean | undefined
  readonly cause?: unknown
}

const TYPE_PREFIX = 'urn:ietf:params:acme:error:'

const NO_REASON = 'no reason given'

/** What a problem document says (RFC 7807), with the first of its subproblems, which have none of their own (RFC 8555 section 6.7.1); text of the authority. */
export function problemText(problem: unknown): { readonly type: string | undefined; readonly text: string } {
  const { type, text, subproblems } = partsOf(problem)
  const [sub] = Array.isArray(subproblems) ? subproblems : []
  const more = sub === undefined ? '' : ` (${partsOf(sub).text})`
  return { type, text: remoteText(`${text}${more}`) }
}

function partsOf(problem: unknown) {
  const { type, detail, subproblems } = (problem ?? {}) as Readonly<Record<string, unknown>>
  const name = typeof type === 'string' && type.startsWith(TYPE_PREFIX) ? type.slice(TYPE_PREFIX.length) : undefined
  const said = [name, typeof detail === 'string' ? detail : undefined].filter((part) => part !== undefined)
  return { type: name, text: said.join(': ') || NO_REASON, subproblems }
}
