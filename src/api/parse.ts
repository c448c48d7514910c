/** Checks what a request brings against a schema; the first fault is the answer. */
import * as v from 'valibot'
import { Refusal } from './answers.js'
import { type JsonObject, readJsonObject } from './body.js'

export function parse<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> | Refusal {
  const result = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true })
  return result.success ? result.output : new Refusal(400, result.issues[0].message)
}

interface BodyOptions {
  readonly required: boolean
  /** Brings a body into the form of its schema. */
  readonly fold?: (body: JsonObject) => JsonObject
}

/** Reads and checks a body; one of no bytes is an empty object where it may be left out. */
export async function parseBody<Schema extends v.GenericSchema>(
  schema: Schema,
  request: Request,
  { required, fold = (body) => body }: BodyOptions,
): Promise<v.InferOutput<Schema> | Refusal> {
  const body = await readJsonObject(request)
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
