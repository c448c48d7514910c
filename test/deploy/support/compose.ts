import { parse } from 'yaml'
import { readText } from '../../project/support.js'

export interface Service {
  readonly profiles: readonly string[]
  readonly command?: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly secrets?: readonly string[]
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly build: string
  readonly restart: string
  readonly stop_grace_period: string
  readonly read_only: boolean
  readonly cap_drop: readonly string[]
  readonly security_opt: readonly string[]
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
  readonly volumes: Readonly<Record<string, unknown>>
}

/** `${NAME:-default}`, the form of interpolation that the file uses. */
const INTERPOLATION = /\$\{(\w+):-([^}]*)\}/g

export async function readCompose(): Promise<Compose> {
  return parse(await readText('deploy/compose.yaml'), { merge: true })
}

/** A text as Compose fills it in from its environment. */
export function interpolate(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(INTERPOLATION, (_, name: string, instead: string) => env[name] || instead)
}

/** Variables that a text takes from the environment. */
export function variablesIn(text: string): readonly string[] {
  return [...text.matchAll(INTERPOLATION)].map(([, name = '']) => name)
}
