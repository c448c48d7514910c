/** Access rules: of the server as a whole, and the fields of tokens that hold them. */
import * as v from 'valibot'
import { MAX_PORT } from '../address.js'
import { MAX_ACCESS_RULES } from '../exit/dial/access-rules.js'
import { REMOTE_TEXT_LIMIT, remoteText } from '../log.js'
import { MAX_ADDRESS_ENTRY_LENGTH } from '../policy/address-range.js'
import type { AccessRule } from '../ports.js'
import { noQuery, rulePort } from './fields.js'
import { type Answer, json, Refusal } from './request/answers.js'
import type { JsonObject } from './request/body.js'
import { parseBody } from './request/parse.js'
import type { Exchange, Route, RouteContext } from './route.js'

const RULES_ERROR = `rules must be a list of at most ${MAX_ACCESS_RULES}, each {"addrs":[...],"ports":[...]}`
const ADDRS_ERROR = 'addrs must be a list of CIDRs, IP addresses and ranges'
const PORTS_ERROR = `ports must be a list of ports from 1 to ${MAX_PORT} and pairs [low, high]`

/** Names the first field that is not known. */
const unknownField =
  (where: string, otherwise: string) =>
  (issue: v.StrictObjectIssue): string =>
    issue.expected === 'never' ? `unknown field${where}: ${issue.path?.[0]?.key ?? ''}` : otherwise

/** What an address is, beyond its length, is left to the texts of the failures. */
const ruleAddress = v.pipe(
  v.string(ADDRS_ERROR),
  v.minLength(1, 'empty address spec'),
  v.metadata({ description: 'CIDR, IP, A-B or 192.168.1.1-255', maxLength: MAX_ADDRESS_ENTRY_LENGTH }),
)
const portSpec = rulePort(PORTS_ERROR)

const rule = v.strictObject(
  { addrs: v.nullish(v.array(ruleAddress, ADDRS_ERROR)), ports: v.nullish(v.array(portSpec, PORTS_ERROR)) },
  unknownField(' in a rule', RULES_ERROR),
)

/** As in a request: absent and null mean any. Keys are taken in any case, see {@link foldRules}; the document has one. */
export const accessRules = v.pipe(v.array(rule, RULES_ERROR), v.maxLength(MAX_ACCESS_RULES, RULES_ERROR))

type RulesBody = v.InferOutput<typeof accessRules>

/** Rules of a request as the relay takes them; what is no address is left to it. */
export function rulesOf(rules: RulesBody | null | undefined): readonly AccessRule[] | undefined {
  return rules?.map(({ addrs, ports }) => ({
    addresses: addrs ?? undefined,
    ports: ports?.map((port) => (typeof port === 'number' ? port : ([port[0] ?? 0, port[1] ?? 0] as const))),
  }))
}

/** Rules of a token in an answer. */
export const shownRules = v.array(v.object({ addrs: v.array(v.string()), ports: v.array(portSpec) }))

export function rulesView(rules: readonly AccessRule[]): v.InferOutput<typeof shownRules> {
  return rules.map(({ addresses = [], ports = [] }) => ({ addrs: [...addresses], ports: portsView(ports) }))
}

/** A body whose rules below each of `names` have their keys in lower case: deployed programs take any. */
export const foldRules =
  (...names: readonly string[]) =>
  (body: JsonObject): JsonObject => {
    const folded = Object.entries(body).map(([name, value]): [string, unknown] =>
      names.includes(name) && Array.isArray(value) ? [name, value.map(foldKeys)] : [name, value],
    )
    return Object.fromEntries(folded)
  }

/** A body whose key `name` may be written in any case; two of them are none that can be meant. */
export function foldName(body: JsonObject, name: string): JsonObject {
  const spellings = Object.keys(body).filter((key) => key.toLowerCase() === name)
  const [spelling] = spellings
  if (spelling === undefined || (spellings.length === 1 && spelling === name)) return body
  const rest = Object.entries(body).filter(([key]) => !spellings.includes(key))
  return Object.fromEntries([...rest, [name, spellings.length === 1 ? body[spelling] : false]])
}

/** A key that would take the place of another stays as it is, and is unknown. */
function foldKeys(value: unknown): unknown {
  // a list would pass for a rule without limits
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const folded = new Map<string, unknown>()
  for (const [key, field] of Object.entries(value)) {
    const lower = key.toLowerCase()
    folded.set(lower in value && lower !== key ? key : folded.has(lower) ? key : lower, field)
  }
  return Object.fromEntries(folded)
}

const foldAccess = (body: JsonObject): JsonObject => foldRules('entry', 'dial')(foldKeys(body) as JsonObject)

/** An absent side and null leave it as it is, as at deployed servers; an empty list lifts the limit. */
const changeAccessSchema = v.strictObject(
  { entry: v.nullish(accessRules), dial: v.nullish(accessRules) },
  unknownField('', 'invalid request body'),
)

/** In the deployed spelling. */
const accessSide = v.nullable(
  v.array(
    v.object({
      Addrs: v.nullable(v.array(v.string())),
      Ports: v.nullable(v.array(portSpec)),
    }),
  ),
)
const accessSchema = v.object({ entry: accessSide, dial: accessSide })

export function accessRoute({ admin }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/api/config/access',
    access: 'read',
    summary: 'Access rules of the server as a whole',
    query: noQuery,
    answer: { status: 200, schema: accessSchema },
    handle: () => {
      const { entry, dial } = admin.access
      return json({ entry: sideView(entry), dial: sideView(dial) } satisfies v.InferOutput<typeof accessSchema>)
    },
  }
}

export function changeAccessRoute(context: RouteContext): Route {
  return {
    method: 'PUT',
    path: '/api/config/access',
    access: 'full',
    summary: 'Sets access rules of the server as a whole; an absent side stays, [] lifts the limit',
    query: noQuery,
    body: changeAccessSchema,
    answer: { status: 200, schema: v.object({ success: v.literal(true) }) },
    failures: [507, 503],
    handle: (exchange) => changeAccess(context, exchange),
  }
}

async function changeAccess({ admin, audit }: RouteContext, exchange: Exchange): Promise<Answer> {
  const body = await parseBody(changeAccessSchema, exchange.request, { required: true, fold: foldAccess })
  if (body instanceof Refusal) return body
  const change = { entry: rulesOf(body.entry), dial: rulesOf(body.dial) }
  await admin.changeAccess(change)
  audit('access.change', exchange, { entry: auditText(change.entry), dial: auditText(change.dial) })
  return json({ success: true })
}

/** One side of a change as the log has it: `192.168.1.0/24:22,90-150; any:443`. What is too long to show whole begins with its count. */
function auditText(rules: readonly AccessRule[] | undefined): string | undefined {
  if (rules === undefined) return undefined
  if (rules.length === 0) return 'unlimited'
  const text = rules.map(ruleText).join('; ')
  return remoteText(text.length > REMOTE_TEXT_LIMIT ? `${rules.length} rules: ${text}` : text)
}

function ruleText({ addresses = [], ports = [] }: AccessRule): string {
  const shown = ports.map((port) => (typeof port === 'number' ? `${port}` : port.join('-')))
  return `${addresses.join(',') || 'any'}:${shown.join(',') || 'any'}`
}

function sideView(rules: readonly AccessRule[] | undefined): v.InferOutput<typeof accessSide> {
  if (rules === undefined) return null
  return rules.map(({ addresses, ports }) => ({
    Addrs: addresses === undefined ? null : [...addresses],
    Ports: ports === undefined ? null : portsView(ports),
  }))
}

function portsView(ports: NonNullable<AccessRule['ports']>): (number | number[])[] {
  return ports.map((port) => (typeof port === 'number' ? port : [...port]))
}
