/** What a token may reach, asked without going there. */
import * as v from 'valibot'
import { MAX_PORT, targetProblem } from '../address.js'
import type { Target } from '../ports.js'
import { count, noQuery, publicId } from './fields.js'
import { type Answer, json, Refusal } from './request/answers.js'
import { MAX_TOKEN_BODY_BYTES } from './request/body.js'
import { objectOf, PATH, parseBody } from './request/parse.js'
import type { Exchange, Route, RouteContext } from './route.js'
import { policyOf, policySchema } from './token-policy.js'

const TARGET_ERROR = `target must be host:port with a port from 1 to ${MAX_PORT}, IPv6 in brackets`

const checkSchema = objectOf({
  target: v.pipe(
    v.string(TARGET_ERROR),
    v.check((text) => targetOf(text) !== undefined, TARGET_ERROR),
    v.metadata({ pattern: '^.+:[0-9]{1,5}$', description: 'host:port, IPv6 in brackets' }),
  ),
  protocol: v.nullish(v.picklist(['tcp', 'udp'], `${PATH} must be tcp or udp`)),
  /** In place of the stored one; null: as if there were none. */
  policy: v.nullish(policySchema),
})

const checkedSchema = v.object({
  /** `depends`: on addresses that only a look-up tells. */
  result: v.picklist(['allow', 'deny', 'depends']),
  /** Of `policy.egress`, from 1. */
  rule: v.nullable(count),
  /** The token whose policy or rules decided. */
  token_id: v.nullable(publicId),
  reason: v.string(),
})

export function checkTokenRoute(context: RouteContext): Route {
  return {
    method: 'POST',
    path: '/api/tokens/{id}/check',
    access: 'full',
    summary: 'Says whether a token may reach a destination, and why; changes nothing',
    segment: publicId,
    query: noQuery,
    body: checkSchema,
    maxBodyBytes: MAX_TOKEN_BODY_BYTES,
    answer: { status: 200, schema: checkedSchema },
    failures: [404],
    handle: (exchange) => checkToken(context, exchange),
  }
}

async function checkToken({ admin }: RouteContext, { request, segment }: Exchange): Promise<Answer> {
  const body = await parseBody(checkSchema, request, { required: true, maxBytes: MAX_TOKEN_BODY_BYTES })
  if (body instanceof Refusal) return body
  const target = targetOf(body.target)
  if (target === undefined) return new Refusal(400, TARGET_ERROR)
  const { result, rule, tokenId, reason } = admin.dryRun(segment, {
    target,
    protocol: body.protocol ?? 'tcp',
    policy: body.policy === null ? null : policyOf(body.policy),
  })
  return json({ result, rule: rule ?? null, token_id: tokenId ?? null, reason } satisfies v.InferOutput<
    typeof checkedSchema
  >)
}

/** `example.com:443`, `192.0.2.1:22` or `[2001:db8::1]:22`. */
function targetOf(text: string): Target | undefined {
  const [, inside, plain, port] = /^(?:\[([^[\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text) ?? []
  const target = { host: inside ?? plain ?? '', port: Number(port) }
  // only IPv6 stands in brackets
  if (inside !== undefined && !inside.includes(':')) return undefined
  return targetProblem(target) === undefined ? target : undefined
}
