import { plainText, Refusal } from './request/answers.js'
import type { Route } from './route.js'

export const METRICS_PATH = '/metrics'

/** The metrics, as text for Prometheus. */
export interface MetricsSource {
  readonly contentType: string
  render(): Promise<string>
}

/** What both ports that have metrics answer. */
export async function metricsAnswer(metrics: MetricsSource): Promise<Response> {
  return plainText(await metrics.render(), metrics.contentType)
}

/** @param metrics `undefined` where nothing is measured */
export function metricsRoute(metrics: MetricsSource | undefined): Route {
  return {
    method: 'GET',
    path: METRICS_PATH,
    access: 'metrics',
    summary: 'Metrics in the text format of Prometheus',
    answer: { status: 200, type: 'text/plain' },
    failures: [404],
    handle: () => (metrics === undefined ? new Refusal(404, 'metrics are not enabled') : metricsAnswer(metrics)),
  }
}
