/** The OpenAPI document, made from the routes and the schemas that judge requests. */
import { toJsonSchema } from '@valibot/to-json-schema'
import type * as v from 'valibot'
import { MAX_BODY_BYTES } from './body.js'
import type { Route } from './route.js'
import { failureAnswerSchema } from './schemas.js'

type Json = Readonly<Record<string, unknown>>

/** What a status means, whatever the route. */
const MEANINGS: Readonly<Record<number, string>> = {
  400: 'The request is not as it should be; the text names the field',
  401: 'No key, or a wrong one',
  403: 'The key may only read',
  404: 'Not there, or not enabled',
  409: 'In use, or a limit is reached',
  413: `The body has more than ${MAX_BODY_BYTES} bytes`,
  429: 'Too many failed attempts from this address',
  503: 'The server is shutting down, or has too many readers',
  507: 'Not stored: nothing has changed',
}

/** @returns an OpenAPI 3.1 document */
export function openApiOf(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) {
    const path = paths[route.path] ?? {}
    path[route.method.toLowerCase()] = operationOf(route)
    paths[route.path] = path
  }
  return {
    openapi: '3.1.0',
    info: { title: 'LinkSocks', version, license: { name: 'MIT', identifier: 'MIT' } },
    paths,
    components: {
      schemas: { Failure: schemaOf(failureAnswerSchema, 'output') },
      securitySchemes: {
        key: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        bearer: { type: 'http', scheme: 'bearer' },
      },
    },
  }
}

function operationOf(route: Route): Json {
  return {
    summary: route.summary,
    operationId: operationId(route),
    ...securityOf(route),
    parameters: [...pathParameters(route), ...queryParameters(route)],
    ...(route.body && { requestBody: requestBodyOf(route.body) }),
    responses: { [route.answer.status]: answerOf(route), ...failuresOf(route) },
  }
}

/** `patchTokensId` of `PATCH /api/tokens/{id}`. */
function operationId({ method, path }: Route): string {
  const words = path.split(/[^a-z]+/i).filter((word) => word !== '' && word !== 'api')
  return [method.toLowerCase(), ...(words.length === 0 ? ['root'] : words)]
    .map((word, index) => (index === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1)))
    .join('')
}

function securityOf({ access }: Route): Json {
  if (access === 'open') return { security: [] }
  return { security: access === 'metrics' ? [{ key: [] }, { bearer: [] }] : [{ key: [] }] }
}

function pathParameters({ path }: Route): readonly Json[] {
  const name = /\{(\w+)\}$/.exec(path)?.[1]
  return name === undefined ? [] : [{ name, in: 'path', required: true, schema: { type: 'string' } }]
}

function queryParameters({ query }: Route): readonly Json[] {
  if (query === undefined) return []
  const { properties = {} } = schemaOf(query, 'input') as { properties?: Record<string, Json> }
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: false, schema }))
}

function requestBodyOf({ schema, required }: NonNullable<Route['body']>): Json {
  return { required, content: { 'application/json': { schema: schemaOf(schema, 'input') } } }
}

function answerOf({ answer }: Route): Json {
  const type = answer.type ?? 'application/json'
  const content = answer.schema === undefined ? {} : schemaOf(answer.schema, 'output')
  const headers = Object.entries(answer.headers ?? {}).map(([name, description]) => [
    name,
    { description, schema: { type: 'string' } },
  ])
  return {
    description: 'Done',
    ...(headers.length > 0 && { headers: Object.fromEntries(headers) }),
    ...(answer.status !== 204 && { content: { [type]: { schema: content } } }),
  }
}

function failuresOf(route: Route): Json {
  const statuses = new Set(route.failures)
  if (route.access !== 'open') for (const status of [401, 429]) statuses.add(status)
  if (route.access === 'full') statuses.add(403)
  if (route.query !== undefined) statuses.add(400)
  if (route.body !== undefined) for (const status of [400, 413]) statuses.add(status)
  const failure = { 'application/json': { schema: { $ref: '#/components/schemas/Failure' } } }
  return Object.fromEntries([...statuses].map((status) => [status, failureOf(route, status, failure)]))
}

function failureOf(route: Route, status: number, content: Json): Json {
  const description = MEANINGS[status] ?? 'Failed'
  // a server that drains says so in the form of its health
  const health = status === 503 && route.path === '/readyz'
  return health ? { ...answerOf(route), description: 'The server takes no new clients' } : { description, content }
}

/** What JSON Schema can't say (bytes of UTF-8, fields that go together) is left to the texts of the failures. */
function schemaOf(schema: v.GenericSchema, typeMode: 'input' | 'output'): Json {
  const { $schema: _, ...json } = toJsonSchema(schema, { errorMode: 'ignore', target: 'draft-2020-12', typeMode })
  return json
}
