/**
 * @typedef {import('./summary.mjs').Figure} Figure
 * @typedef {import('../scenarios/scenario.mjs').Scenario} Scenario
 */

const show = (/** @type {number} */ value) =>
  Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : `${Number(value.toPrecision(3))}`

const range = (/** @type {import('./stats.mjs').Estimate} */ { median, low, high }) =>
  low === high ? show(median) : `${show(median)} [${show(low)} ${show(high)}]`

/**
 * A block for each mode of a scenario: a line for each subject.
 *
 * @param {string} mode
 * @param {Scenario} scenario
 * @param {readonly Figure[]} figures all of one mode and scenario
 * @param {number} seconds it took
 */
export function block(mode, scenario, figures, seconds) {
  const subjects = [...new Set(figures.map(({ subject }) => subject))]
  const own = subjects.includes('observed') || subjects.includes('policy') ? ['linksocks'] : []
  const secure = subjects.includes('wss') ? ['tlsrelay', 'ssh'] : []
  const bases = [scenario.base ?? 'relay', 'against', 'noresume', ...own, ...secure].filter((base) =>
    subjects.includes(base),
  )
  const head = [
    '',
    ...scenario.metrics.map(({ name, unit }) => (unit === '' ? name : `${name} ${unit}`)),
    ...bases.map((base) => `${scenario.metrics[0]?.name} / ${base}`),
  ]
  const rows = subjects.map((subject) => {
    const own = figures.filter((figure) => figure.subject === subject)
    const cells = scenario.metrics.map(({ name }) => own.find(({ metric }) => metric === name))
    return [
      subject,
      ...cells.map((figure) => (figure === undefined ? '-' : range(figure.estimate))),
      ...bases.map((base) => {
        const ratio = cells[0]?.ratios[base]
        return ratio === undefined ? '' : range(ratio)
      }),
    ]
  })
  return `\n${mode}: ${scenario.title} (${scenario.name}, ${Math.round(seconds)} s)\n${aligned([head, ...rows])}`
}

function aligned(/** @type {readonly (readonly string[])[]} */ rows) {
  const widths = rows.reduce(
    (/** @type {number[]} */ all, row) => row.map((cell, column) => Math.max(all[column] ?? 0, cell.length)),
    [],
  )
  return rows
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n')
}

/** What became of the goals, as far as they were measured. */
export function verdicts(/** @type {ReturnType<typeof import('./goals.mjs').judge>} */ judged) {
  const rows = judged.flatMap(({ subject, mode, scenario, metric, against, floor, aim, measured, verdict }) => {
    if (measured === undefined) return []
    const row = [...(subject === undefined ? [] : [subject]), mode, scenario, metric].join(' ')
    return [[row, against ?? '', range(measured), show(floor), show(aim), verdict]]
  })
  const unmeasured = judged.length - rows.length
  return [
    '\ngoals of LinkSocks',
    aligned([['', 'against', 'measured', 'floor', 'aim', 'reached'], ...rows]),
    ...(unmeasured > 0 ? [`  ${unmeasured} more were not measured`] : []),
  ].join('\n')
}
