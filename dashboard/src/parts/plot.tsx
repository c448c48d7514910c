import 'uplot/dist/uPlot.min.css'
import { type ReactNode, useEffect, useRef, useState } from 'react'
import uPlot from 'uplot'
import { HISTORY_SECONDS, type History } from '../state/history.js'
import { theme } from '../state/preferences.js'
import { useStore } from '../state/store.js'
import { rate } from '../text/format.js'
import { useLocale, useMessages } from '../text/messages.js'
import { useMedia } from './small.js'

const HEIGHT_PX = 220
/** Smallest range of the y axis, in bytes per second. */
const LEAST_TOP = 1_000

type Point = readonly [time: number, received: number | null, sent: number | null]

/** A canvas knows no custom properties: colours are read from elements that use them. */
function colourOf(container: HTMLElement, name: string): string {
  const probe = container.querySelector(`.swatch.${name}`)
  return probe === null ? 'gray' : getComputedStyle(probe).color
}

function options(
  container: HTMLElement,
  width: number,
  locale: string,
  onPoint: (at: number | null) => void,
): uPlot.Options {
  const colour = (name: string) => (): string => colourOf(container, name)
  const fill = (name: string) => (): string => colourOf(container, name).replace(/^rgb\((.*)\)$/, 'rgba($1, 0.12)')
  const time = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' })
  const axis = {
    stroke: colour('axis'),
    grid: { stroke: colour('grid'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui, sans-serif',
  }
  const series = (name: string): uPlot.Series => ({
    stroke: colour(name),
    fill: fill(name),
    width: 1.75,
    points: { show: false },
  })
  return {
    width,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    padding: [12, 8, 0, 0],
    scales: {
      x: { time: true, range: (_plot, _min, max) => [max - HISTORY_SECONDS, max] },
      y: { range: (_plot, _min, max) => [0, Math.max(LEAST_TOP, (max ?? 0) * 1.1)] },
    },
    axes: [
      {
        ...axis,
        values: (_plot, splits) => splits.map((at) => time.format(at * 1_000)),
        incrs: [60, 120, 300],
        size: 28,
      },
      { ...axis, values: (_plot, splits) => splits.map(rate), size: 76 },
    ],
    series: [{}, series('received'), series('sent')],
    hooks: { setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)] },
  }
}

function dataOf({ times, received, sent }: History): uPlot.AlignedData {
  // without a point there is no x axis: now stands in
  if (times.length === 0) return [[Date.now() / 1_000], [null], [null]]
  return [[...times], [...received], [...sent]]
}

function pointAt({ times, received, sent }: History, index: number | null): Point | undefined {
  const at = index ?? times.length - 1
  const time = times[at]
  return time === undefined ? undefined : [time, received[at] ?? null, sent[at] ?? null]
}

export function ThroughputPlot({ history }: { history: History }): ReactNode {
  const t = useMessages()
  const locale = useLocale()
  const container = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const [pointed, setPointed] = useState<number | null>(null)
  const [, received, sent] = pointAt(history, pointed) ?? [0, null, null]
  const [, receivedNow, sentNow] = pointAt(history, null) ?? [0, null, null]
  const chosen = useStore(theme)
  const dark = useMedia('(prefers-color-scheme: dark)')

  useEffect(() => {
    const box = container.current
    const host = canvas.current
    if (box === null || host === null) return
    const made = new uPlot(
      options(box, host.clientWidth, locale, setPointed),
      dataOf({ times: [], received: [], sent: [] }),
      host,
    )
    plot.current = made
    const resized = new ResizeObserver(() => made.setSize({ width: host.clientWidth, height: HEIGHT_PX }))
    resized.observe(host)
    return () => {
      resized.disconnect()
      made.destroy()
      plot.current = undefined
    }
  }, [locale])
  useEffect(() => plot.current?.setData(dataOf(history)), [history])
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of theme is what this waits for
  useEffect(() => plot.current?.redraw(false), [chosen, dark])

  const shown = (value: number | null): string => (value === null ? '–' : rate(value))
  return (
    <div className="plot" ref={container}>
      <div className="legend">
        <span className="entry">
          <span className="swatch received" />
          {t.overview.received} <b>{shown(received)}</b>
        </span>
        <span className="entry">
          <span className="swatch sent" />
          {t.overview.sent} <b>{shown(sent)}</b>
        </span>
        <span className="swatch axis" hidden />
        <span className="swatch grid" hidden />
      </div>
      <div
        className="canvas"
        ref={canvas}
        role="img"
        aria-label={t.overview.summary(shown(receivedNow), shown(sentNow))}
      />
    </div>
  )
}
