/** Checks what a request brings against a schema; the first fault is the answer. */
import * as v from 'valibot'
import { remoteText } from '../../log.js'
import { Refusal } from './answers.js'
import { type JsonObject, readJsonObject } from './body.js'

export function parse<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> | Refusal {
  const result = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true })
  return result.success ? result.output : new Refusal(400, messageOf(result.issues[0]))
}

/** Stands in a message for the place of what is wrong, such as `policy.egress[3].ports`: a schema doesn't know where it is used. */
export const PATH = '{path}'

const objectError = (issue: v.StrictObjectIssue): string => {
  if (issue.expected === 'never') return `unknown field: ${PATH}`
  return issue.expected === 'Object' ? `${PATH} must be an object` : `${PATH} is missing`
}

/** An object with these fields and no others. A list, which the library takes for an object without fields, is none. */
export function objectOf<Entries extends v.ObjectEntries>(entries: Entries) {
  const schema = v.strictObject(entries, objectError)
  const run: (typeof schema)['~run'] = (dataset, config) =>
    schema['~run'](Array.isArray(dataset.value) ? { value: false } : dataset, config)
  return { ...schema, '~run': run }
}

function messageOf({ message, path }: v.BaseIssue<unknown>): string {
  if (path === undefined || !message.includes(PATH)) return message
  const text = path.map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('')
  return message.replace(PATH, () => remoteText(text.replace(/^\./, '')))
}

interface BodyOptions {
  readonly required: boolean
  /** @default MAX_BODY_BYTES */
  readonly maxBytes?: number | undefined
  /** Brings a body into the form of its schema. */
  readonly fold?: (body: JsonObject) => JsonObject
}

/** Reads and checks a body; one of no bytes is an empty object where it may be left out. */
export async function parseBody<Schema extends v.GenericSchema>(
  schema: Schema,
  request: Request,
  { required, maxBytes, fold = (body) => body }: BodyOptions,
): Promise<v.InferOutput<Schema> | Refusal> {
  const body = await readJsonObject(request, maxBytes)
  if (body instanceof Refusal) return body
  if (body === undefined && required) return new Refusal(400, 'invalid request body')
  return parse(schema, fold(body ?? {}))
}

/** @returns a refusal for a parameter that is given twice, or as the schema says */
export function parseQuery<Schema extends v.GenericSchema>(
  schema: Schema,
  { url }: Request,
): v.InferOutput<Schema> | Refusal {
  const parameters = new Map<string, string>()
  for (const [name, value] of new URL(url).searchParams) {
    if (parameters.has(name)) return new Refusal(400, `${name} is given twice`)
    parameters.set(name, value)
  }
  return parse(schema, Object.fromEntries(parameters))
}
