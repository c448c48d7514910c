import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { readJson, readText } from '../project/support.js'
import { type Dashboard, dashboardProblems, expressionsOf, problemsOf, readExposition } from './support/dashboard.js'

/** What `/metrics` has: type, name, and a sample's labels. */
const METRICS = `
gauge build_info version
gauge tokens type
gauge sessions role state
counter sessions_opened_total role
counter sessions_resumed_total role
gauge channels mode protocol inbound
counter channels_opened_total mode protocol inbound
counter received_bytes_total role
counter sent_bytes_total role
counter dials_total mode rep
histogram dial_duration_seconds mode
counter authentication_failures_total kind
counter policy_refusals_total reason
gauge queue_bytes kind
gauge quotas state
gauge quota_used_max_ratio
counter throttled_bytes_total direction
counter throttled_datagrams_total
histogram event_loop_delay_seconds
gauge event_streams
`
/** Of those that the metrics library adds. */
const DEFAULTS = [
  'process_resident_memory_bytes',
  'process_cpu_user_seconds_total',
  'process_cpu_system_seconds_total',
  'process_open_fds',
  'process_max_fds',
  'nodejs_heap_size_used_bytes',
  'nodejs_external_memory_bytes',
]

function exposition(): string {
  const lines = METRICS.trim().split('\n')
  const ours = lines
    .map((line) => line.split(' '))
    .map(([type = '', name = '', ...labels]) => [
      `# TYPE linksocks_${name} ${type}`,
      ...(type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']).map((suffix) => {
        const all = suffix === '_bucket' ? ['le', ...labels] : labels
        return `linksocks_${name}${suffix}{${all.map((label) => `${label}="x"`).join(',')}} 1`
      }),
    ])
  return [...ours.flat(), ...DEFAULTS.map((name) => `# TYPE ${name} gauge\n${name} 1`)].join('\n')
}

describe('deploy/grafana-dashboard.json', () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await readJson<Dashboard>('deploy/grafana-dashboard.json')
  })

  it('asks only for metrics and labels that a relay has', () => {
    expect(dashboardProblems(dashboard, exposition())).toEqual([])
  })

  it('shows every metric of ours', () => {
    const all = expressionsOf(dashboard).join('\n')
    const names = METRICS.trim()
      .split('\n')
      .map((line) => `linksocks_${line.split(' ')[1]}`)
    expect(names.filter((name) => !new RegExp(`\\b${name}(_bucket)?\\b`).test(all))).toEqual([])
  })

  it('puts no panel on another, and none beside the page', () => {
    const cells = new Set<string>()
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells, title).not.toContain(`${x} ${y}`)
          cells.add(`${x} ${y}`)
        }
      }
    }
  })
})

describe('problemsOf()', () => {
  const metrics = readExposition(
    `# TYPE a gauge\na{b="1"} 2\n# TYPE empty counter\n# TYPE h histogram\nh_bucket{le="+Inf"} 1`,
  )

  it.each([
    ['a{b="x"}', []],
    ['sum by (b, job) (a{instance="x"}) / empty{any="x"}', []],
    ['histogram_quantile(0.9, sum by (le) (rate(h_bucket[$__rate_interval])))', []],
    ['a{c="x"}', ['no label c in a{c="x"}']],
    ['sum by (c) (a)', ['no label c in sum by (c) (a)']],
    ['rate(z[5m])', ['no metric z in rate(z[5m])']],
    ['sum(a', [expect.stringMatching(/^syntax error at 5/)]],
  ])('%s', (expression, problems) => {
    expect(problemsOf(expression, metrics)).toEqual(problems)
  })
})

describe('deploy/prometheus.yml', () => {
  it('scrapes /metrics with the key from a file, and an address of its own without', async () => {
    const { scrape_configs: jobs } = parse(await readText('deploy/prometheus.yml'))
    expect(jobs).toMatchObject([
      {
        scheme: 'https',
        metrics_path: '/metrics',
        authorization: { type: 'Bearer', credentials_file: expect.any(String) },
      },
      { static_configs: [{ targets: ['127.0.0.1:9464'] }] },
    ])
  })
})
