import { parser } from '@prometheus-io/lezer-promql'

/** What a metric can be selected by: its name, and its labels where the text has samples of it. */
export type Exposition = ReadonlyMap<string, ReadonlySet<string> | undefined>

interface Target {
  readonly expr?: string
}

export interface Panel {
  readonly title: string
  readonly type: string
  readonly targets?: readonly Target[]
  readonly panels?: readonly Panel[]
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>
}

export interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] }
}

/** Labels that Prometheus adds to every sample it scrapes. */
const OF_EVERY_TARGET = ['job', 'instance']
/** What Grafana fills in, and something of the same kind. */
const FILLED_IN: readonly (readonly [RegExp, string])[] = [
  [/\$__rate_interval\b/g, '1m'],
  [/\$\w+/g, 'x'],
]
const HISTOGRAM_SUFFIXES = ['_bucket', '_sum', '_count']

/** The metrics of a text in the exposition format of Prometheus. */
export function readExposition(text: string): Exposition {
  const metrics = new Map<string, Set<string> | undefined>()
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const names = type === 'histogram' ? HISTOGRAM_SUFFIXES.map((suffix) => name + suffix) : [name]
    for (const each of names) metrics.set(each, undefined)
  }
  for (const [, name = '', inBraces = ''] of text.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+/gm)) {
    const labels = metrics.get(name) ?? new Set<string>()
    for (const [, label = ''] of inBraces.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) labels.add(label)
    metrics.set(name, labels)
  }
  return metrics
}

/** The PromQL expressions of a dashboard, those of its variables included. */
export function expressionsOf({ panels, templating }: Dashboard): readonly string[] {
  const ofPanels = (list: readonly Panel[]): readonly string[] =>
    list.flatMap(({ targets = [], panels: inside = [] }) => [
      ...targets.flatMap(({ expr }) => expr ?? []),
      ...ofPanels(inside),
    ])
  const ofVariables = templating.list.flatMap(
    ({ definition }) => /^label_values\((.+), \w+\)$/.exec(definition ?? '')?.[1] ?? [],
  )
  return [...ofPanels(panels), ...ofVariables]
}

interface Selector {
  readonly metric: string
  readonly labels: readonly string[]
}

/** What is wrong with an expression: its syntax, a metric or a label that isn't there. */
export function problemsOf(expression: string, metrics: Exposition): readonly string[] {
  const { errors, selectors, grouped } = read(expression)
  const has = ({ metric }: Selector, label: string): boolean =>
    OF_EVERY_TARGET.includes(label) || metrics.get(metric)?.has(label) !== false
  const unknown = selectors.filter(({ metric }) => !metrics.has(metric)).map(({ metric }) => `no metric ${metric}`)
  const known = selectors.filter(({ metric }) => metrics.has(metric))
  const matched = known.flatMap((selector) => selector.labels.filter((label) => !has(selector, label)))
  const kept = grouped.filter((label) => !known.some((selector) => has(selector, label)))
  const labels = unknown.length > 0 ? [] : [...matched, ...kept].map((label) => `no label ${label}`)
  return [...errors, ...unknown, ...labels].map((problem) => `${problem} in ${expression}`)
}

/** The parts of an expression that name something. */
function read(expression: string) {
  const text = FILLED_IN.reduce((filled, [pattern, instead]) => filled.replaceAll(pattern, instead), expression)
  const errors: string[] = []
  const grouped: string[] = []
  const selectors: { readonly metric: string; readonly labels: string[] }[] = []
  parser.parse(text).iterate({
    enter: ({ type, from, to, node }) => {
      const said = text.slice(from, to)
      if (type.isError) errors.push(`syntax error at ${from}`)
      if (type.name === 'VectorSelector') {
        const metric = node.getChild('Identifier')
        selectors.push({ metric: metric === null ? said : text.slice(metric.from, metric.to), labels: [] })
      }
      if (type.name !== 'LabelName') return
      // matchers stand inside of their selector, in the order of the text
      if (node.parent?.type.name === 'GroupingLabels') grouped.push(said)
      else selectors.at(-1)?.labels.push(said)
    },
  })
  return { errors, grouped, selectors }
}

/**
 * What a dashboard asks for and a relay doesn't tell.
 * Labels of a metric without samples can't be judged: let the relay have clients and streams before.
 * @param exposition what `GET /metrics` answers
 */
export function dashboardProblems(dashboard: Dashboard, exposition: string): readonly string[] {
  const metrics = readExposition(exposition)
  return expressionsOf(dashboard).flatMap((expression) => problemsOf(expression, metrics))
}
