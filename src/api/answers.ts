/** How the HTTP API answers: JSON, never cached, never sniffed, no CORS headers. */
import type { FailureAnswer, StatusAnswer, TokenAnswer } from './schemas.js'

/** Why a call failed: returned by whatever judges it, never thrown. */
export class Refusal {
  readonly status: number
  readonly error: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, error: string, headers: Readonly<Record<string, string>> = {}) {
    this.status = status
    this.error = error
    this.headers = headers
  }
}

export type Answer = Response | Refusal

export function json(body: StatusAnswer | TokenAnswer): Response {
  return answer(200, `${JSON.stringify(body)}\n`, { 'content-type': 'application/json' })
}

export function plainText(text: string): Response {
  return answer(200, text, { 'content-type': 'text/plain; charset=utf-8' })
}

/** Answer to OPTIONS (RFC 9110 section 9.3.7). */
export function optionsAnswer(allow: string): Response {
  return new Response(null, { status: 204, headers: { allow, 'cache-control': 'no-store' } })
}

/** Turns what a call came to into the response; `bodyless` (HEAD) keeps the headers and leaves the body out. */
export function toResponse(result: Answer, bodyless: boolean): Response {
  const response = result instanceof Refusal ? refusalResponse(result) : result
  return bodyless ? new Response(null, { status: response.status, headers: response.headers }) : response
}

function refusalResponse({ status, error, headers }: Refusal): Response {
  const body: FailureAnswer = { success: false, error }
  return answer(status, `${JSON.stringify(body)}\n`, { ...headers, 'content-type': 'application/json' })
}

function answer(status: number, text: string, headers: Readonly<Record<string, string>>): Response {
  const body = new TextEncoder().encode(text)
  return new Response(body, {
    status,
    headers: {
      'cache-control': 'no-store',
      'content-length': String(body.byteLength),
      'x-content-type-options': 'nosniff',
      ...headers,
    },
  })
}
