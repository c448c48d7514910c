import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { createApi } from '../../src/api/api.js'
import { openApiOf } from '../../src/api/openapi.js'
import { FailedAttempts } from '../../src/inbound/failed-attempts.js'
import { silentLogger } from '../../src/log.js'
import type { RelayAdmin } from '../../src/relay/admin.js'
import { ManualClock } from './manual-clock.js'

type Schema = Readonly<Record<string, unknown>>
type Content = Readonly<Record<string, { readonly schema: Schema }>>

interface DocumentedResponse {
  readonly headers?: Readonly<Record<string, unknown>>
  readonly content?: Content
}

export interface Operation {
  readonly operationId: string
  readonly security: readonly Readonly<Record<string, unknown>>[]
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[]
  readonly requestBody?: { readonly required: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, DocumentedResponse>>
}

export interface OpenApiDocument {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

/** The document of an API with everything switched on. */
export function apiDocument(): OpenApiDocument {
  const clock = new ManualClock()
  const crypto = { randomBytes: (length: number) => new Uint8Array(length), sha256: () => new Uint8Array(32) }
  const rest = { version: '1.2.3', clock, crypto, log: silentLogger, attempts: new FailedAttempts(clock) }
  const { routes } = createApi({ admin: {} as RelayAdmin, ...rest })
  return JSON.parse(JSON.stringify(openApiOf(routes, rest.version)))
}

/** Statuses that every method of a guarded path may have, documented or not. */
const OF_THE_KEY = [401, 429]
/** A failure of our own has its form, and no place in the document. */
const INTERNAL_ERROR = 500
/** One object, because compiled schemas are found by identity. */
const FAILURE = { $ref: '#/components/schemas/Failure' }

/** Holds answers to the document: what is not in it must not be seen. */
export class ApiContract {
  readonly document: OpenApiDocument
  readonly #ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: true })
  readonly #compiled = new Map<Schema, ValidateFunction>()

  constructor(document: OpenApiDocument = apiDocument()) {
    this.document = document
    addFormats.default(this.#ajv)
    this.#ajv.addVocabulary(['components'])
  }

  /**
   * Judges an answer; its body is read where it ends.
   * @param path as on the wire, without query
   * @throws what is wrong with it
   */
  async checkAnswer(method: string, path: string, response: Response): Promise<void> {
    const fail = (what: string): never => {
      throw new Error(`${method} ${path}: ${response.status} ${what}`)
    }
    const methods = this.#methodsOf(path)
    const { responses } = methods?.[method === 'HEAD' ? 'get' : method.toLowerCase()] ?? {}
    const documented = responses?.[response.status]
    if (documented === undefined)
      return this.#checkUndocumented(methods, responses !== undefined, method, response, fail)
    for (const name of response.status >= 400 ? Object.keys(documented.headers ?? {}) : []) {
      if (!response.headers.has(name)) fail(`has no ${name}`)
    }
    const type = response.headers.get('content-type')?.split(';')[0]
    if (documented.content === undefined) {
      if (type !== undefined || (await response.text()) !== '') fail('has a body')
      return
    }
    const { schema } = documented.content[type ?? ''] ?? fail(`has the type ${type}`)
    if (type !== 'application/json' || method === 'HEAD') return
    const problem = this.#problem(schema, JSON.parse(await response.text()), true)
    if (problem !== undefined) fail(problem)
  }

  /** @returns what is wrong with a body according to the document; nothing when it takes none */
  bodyProblem(method: string, path: string, json: string): string | undefined {
    const schema = this.#methodsOf(path)?.[method.toLowerCase()]?.requestBody?.content['application/json']?.schema
    return schema && this.#problem(schema, JSON.parse(json), false)
  }

  async #checkUndocumented(
    methods: Readonly<Record<string, Operation>> | undefined,
    methodKnown: boolean,
    method: string,
    response: Response,
    fail: (what: string) => never,
  ): Promise<void> {
    const { status, headers } = response
    const text = await response.text()
    if (methods !== undefined && !methodKnown && [204, 405].includes(status)) {
      const names = Object.keys(methods).map((name) => name.toUpperCase())
      const allow = [...names, ...(names.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
      if (headers.get('allow') !== allow) fail(`allows ${headers.get('allow')}`)
      if (status === 204 && (method !== 'OPTIONS' || text !== '')) fail('has a body')
      if (status === 204) return
    } else {
      const notEnabled = status === 404 && (text.includes('not enabled') || method === 'HEAD')
      const expected = methodKnown ? [INTERNAL_ERROR] : [...OF_THE_KEY, ...(methods === undefined ? [404] : [])]
      if (!expected.includes(status) && !notEnabled) fail('is not documented')
    }
    if (method === 'HEAD') return
    if (headers.get('content-type') !== 'application/json') fail('is no JSON')
    const problem = this.#problem(FAILURE, JSON.parse(text), true)
    if (problem !== undefined) fail(problem)
  }

  #methodsOf(path: string): Readonly<Record<string, Operation>> | undefined {
    const { paths } = this.document
    const matches = Object.keys(paths).filter((name) => {
      const [before = '', after] = name.split(/\{\w+\}/)
      return after === undefined ? name === path : path.startsWith(before) && path.endsWith(after)
    })
    const template = matches.find((name) => name.includes('}/')) ?? matches[0]
    return template === undefined ? undefined : paths[template]
  }

  #problem(schema: Schema, value: unknown, closed: boolean): string | undefined {
    let validate = this.#compiled.get(schema)
    if (validate === undefined) {
      const { schemas } = this.document.components
      const whole = { ...schema, components: { schemas } }
      validate = this.#ajv.compile(closed ? close(whole) : whole)
      this.#compiled.set(schema, validate)
    }
    return validate(value) ? undefined : this.#ajv.errorsText(validate.errors)
  }
}

/** The same with no room for fields that it doesn't name. */
function close<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(close) as T
  if (typeof schema !== 'object' || schema === null) return schema
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, close(value)]))
  return ('properties' in copy ? { additionalProperties: false, ...copy } : copy) as T
}
