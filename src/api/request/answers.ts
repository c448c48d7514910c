/** How the HTTP API answers: JSON, never cached, never sniffed, no CORS headers. */
import * as v from 'valibot'

interface Headers {
  readonly headers?: Readonly<Record<string, string>>
}

/** The body of every failure. */
export const failureSchema = v.object({ success: v.literal(false), error: v.string() })

/** Why a request failed: returned by the check that refuses it, never thrown. */
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

export function json(
  body: object,
  { status = 200, headers = {} }: Pick<ResponseInit, 'status'> & Headers = {},
): Response {
  return answer(status, `${JSON.stringify(body)}\n`, { ...headers, 'content-type': 'application/json' })
}

/** Success without a body. */
export function noContent(): Response {
  return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
}

export function plainText(text: string, contentType = 'text/plain; charset=utf-8'): Response {
  return answer(200, text, { 'content-type': contentType })
}

/** Answer to OPTIONS (RFC 9110 section 9.3.7). */
export function optionsAnswer(allow: string): Response {
  return new Response(null, { status: 204, headers: { allow, 'cache-control': 'no-store' } })
}

/** Turns the answer of a route into the response; `bodyless` (HEAD) keeps the headers and leaves the body out. */
export function toResponse(result: Answer, bodyless: boolean): Response {
  const response = result instanceof Refusal ? refusalResponse(result) : result
  if (!bodyless) return response
  response.body?.cancel().catch(() => {})
  return new Response(null, { status: response.status, headers: response.headers })
}

/** The JSON body of every failure. */
export function failureBody(error: string): string {
  const body: v.InferOutput<typeof failureSchema> = { success: false, error }
  return `${JSON.stringify(body)}\n`
}

function refusalResponse({ status, error, headers }: Refusal): Response {
  return answer(status, failureBody(error), { ...headers, 'content-type': 'application/json' })
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
