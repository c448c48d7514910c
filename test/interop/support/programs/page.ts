import type { RequestListener } from 'node:http'
import { type Image, onePixelPng } from './png.js'

/** What each third of the resources is. */
const KINDS = ['png', 'css', 'js'] as const
type Kind = (typeof KINDS)[number]

export const RESOURCES = 50
/** Tiles in a row. */
const COLUMNS = 10
const TILE = 64
export const PAGE_WIDTH = COLUMNS * TILE
export const PAGE_HEIGHT = (RESOURCES / COLUMNS) * TILE

export type Colour = readonly [number, number, number]

/** The colour that a resource gives its tile; no two are alike. */
export function tileColour(index: number): Colour {
  return [40 + index * 4, 230 - index * 3, (index * 83) % 251]
}

/** The colour in the middle of each tile of a picture of the page. */
export function shownColours({ width, rgba }: Image): readonly (readonly number[])[] {
  return Array.from({ length: RESOURCES }, (_, index) => {
    const [x, y] = tileMiddle(index)
    return [...rgba.subarray((y * width + x) * 4, (y * width + x) * 4 + 3)]
  })
}

/** The middle of a tile, in pixels of the page. */
function tileMiddle(index: number): readonly [number, number] {
  return [((index % COLUMNS) + 0.5) * TILE, (Math.floor(index / COLUMNS) + 0.5) * TILE]
}

export interface Page {
  readonly listener: RequestListener
  /** Paths that were asked for, in the order they came. */
  readonly asked: readonly string[]
  /** How many resources the page said it has loaded, once it has told. */
  readonly loaded: () => number | undefined
}

/** A page whose tiles stay grey until the resource of each has come: a picture, a style sheet or a script. */
export function pageOfResources(): Page {
  const asked: string[] = []
  let loaded: number | undefined
  const listener: RequestListener = (request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const report = path.match(/^\/loaded\?n=(\d+)$/)
    if (report !== null) loaded = Number(report[1])
    const [type, body] = content(path)
    response.setHeader('Content-Type', type).setHeader('Cache-Control', 'no-store').end(body)
  }
  return { listener, asked, loaded: () => loaded }
}

const kindOf = (index: number): Kind => KINDS[index % KINDS.length] ?? 'png'
const css = (colour: Colour): string => `rgb(${colour.join(' ')})`

function content(path: string): readonly [string, string | Buffer] {
  const [, name] = path.match(/^\/r\/(\d+)\./) ?? []
  if (name === undefined) return ['text/html; charset=utf-8', path === '/' ? html() : '']
  const index = Number(name)
  const colour = tileColour(index)
  const padding = `/*${'long '.repeat(4_000)}*/`
  switch (kindOf(index)) {
    case 'png':
      return ['image/png', onePixelPng(...colour)]
    case 'css':
      return ['text/css', `${padding}#t${index} { background: ${css(colour)} }`]
    case 'js':
      return ['text/javascript', `${padding}document.getElementById('t${index}').style.background = '${css(colour)}'`]
  }
}

function html(): string {
  const indexes = Array.from({ length: RESOURCES }, (_, index) => index)
  const tiles = indexes.map((index) => `<div id="t${index}">${kindOf(index) === 'png' ? image(index) : ''}</div>`)
  const others = indexes.map((index) => {
    if (kindOf(index) === 'css') return `<link rel="stylesheet" href="/r/${index}.css" onload="n++">`
    return kindOf(index) === 'js' ? `<script src="/r/${index}.js" onload="n++"></script>` : ''
  })
  return `<!doctype html><html><head><title>loading</title><link rel="icon" href="data:,"><style>
* { margin: 0; padding: 0; border: 0 } body { width: ${PAGE_WIDTH}px; overflow: hidden; background: white }
div { float: left; width: ${TILE}px; height: ${TILE}px; background: #ddd } img { display: block }
</style><script>let n = 0</script></head><body>${tiles.join('')}${others.join('')}<script>
// while the event lasts, nobody takes a picture and leaves
addEventListener('load', () => {
  const report = new XMLHttpRequest()
  report.open('GET', '/loaded?n=' + n, false)
  report.send()
  document.title = n + ' loaded'
})
</script></body></html>`
}

function image(index: number): string {
  return `<img src="/r/${index}.png" width="${TILE}" height="${TILE}" onload="n++">`
}
