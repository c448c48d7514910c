/** The OpenAPI document, made from the routes and the schemas that check requests. */
import { toJsonSchema } from '@valibot/to-json-schema'
import type * as v from 'valibot'
import { noQuery } from './fields.js'
import { failureSchema, json } from './request/answers.js'
import { MAX_BODY_BYTES } from './request/body.js'
import type { Route } from './route.js'

type Json = Readonly<Record<string, unknown>>

/** What a status means, whatever the route. */
const MEANINGS: Readonly<Record<number, string>> = {
  400: 'The request is not as it should be; the text names the field',
  401: 'No key, or a wrong one',
  403: 'The key may only read',
  404: 'Not there, or not enabled',
  409: 'In use, or a limit is reached',
  429: 'Too many failed attempts from this address',
  503: 'The server is shutting down, or has too many readers',
  507: 'Not stored: nothing has changed',
}

/** Where nothing more is said; of a stream of events there is no whole to say it of. */
const ANY_OF_TYPE: Readonly<Record<string, Json>> = {
  'application/json': { type: 'object' },
  'text/plain': { type: 'string' },
}

const FAILURE_HEADERS: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { 'WWW-Authenticate': 'Names X-API-Key' },
  429: { 'Retry-After': 'Seconds' },
}

/** @param routes asked for at the first request, because this route is one of them */
export function openApiRoute(routes: () => readonly Route[], version: string): Route {
  let document: Json | undefined
  return {
    method: 'GET',
    path: '/api/openapi.json',
    access: 'read',
    summary: 'This document',
    query: noQuery,
    answer: { status: 200, type: 'application/json' },
    handle: () => {
      document ??= openApiOf(routes(), version)
      return json(document)
    },
  }
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
      schemas: { Failure: schemaOf(failureSchema, 'output') },
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

function pathParameters({ path, segment }: Route): readonly Json[] {
  const name = /\{(\w+)\}/.exec(path)?.[1]
  if (name === undefined) return []
  return [{ name, in: 'path', required: true, schema: segment ? schemaOf(segment, 'input') : { type: 'string' } }]
}

function queryParameters({ query }: Route): readonly Json[] {
  if (query === undefined) return []
  const { properties = {} } = schemaOf(query, 'input') as { properties?: Record<string, Json> }
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: false, schema }))
}

function requestBodyOf(schema: v.GenericSchema): Json {
  return { required: true, content: { 'application/json': { schema: schemaOf(schema, 'input') } } }
}

function answerOf({ answer }: Route): Json {
  const type = answer.type ?? 'application/json'
  const schema = answer.schema === undefined ? (ANY_OF_TYPE[type] ?? {}) : schemaOf(answer.schema, 'output')
  return {
    description: 'Done',
    ...headersOf(answer.headers),
    ...(answer.status !== 204 && { content: { [type]: { schema } } }),
  }
}

function headersOf(meanings: Readonly<Record<string, string>> = {}): Json {
  const headers = Object.entries(meanings).map(([name, description]) => [
    name,
    { description, schema: { type: 'string' } },
  ])
  return headers.length === 0 ? {} : { headers: Object.fromEntries(headers) }
}

function failuresOf(route: Route): Json {
  const statuses = new Set(route.failures)
  if (route.access !== 'open') for (const status of [401, 429]) statuses.add(status)
  if (route.access === 'full') statuses.add(403)
  if (route.query !== undefined) statuses.add(400)
  if (route.body !== undefined) statuses.add(400)
  if (route.method !== 'GET') statuses.add(413)
  const schemas = Object.entries(route.failureSchemas ?? {}).map(([status, schema]) => [
    status,
    { description: 'Not now', content: { 'application/json': { schema: schemaOf(schema, 'output') } } },
  ])
  return Object.fromEntries([...Array.from(statuses, (status) => [status, failureOf(status, route)]), ...schemas])
}

function failureOf(status: number, { maxBodyBytes = MAX_BODY_BYTES }: Route): Json {
  const tooLarge = status === 413 ? `The body has more than ${maxBodyBytes} bytes` : undefined
  return {
    description: tooLarge ?? MEANINGS[status] ?? 'Failed',
    ...headersOf(FAILURE_HEADERS[status]),
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Failure' } } },
  }
}

/** What JSON Schema can't say (bytes of UTF-8, fields that go together) is left to the texts of the failures. */
function schemaOf(schema: v.GenericSchema, typeMode: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = toJsonSchema(schema, { errorMode: 'ignore', target: 'draft-2020-12', typeMode })
  return rest
}
