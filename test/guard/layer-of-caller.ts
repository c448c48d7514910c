const OWN = /\/src\/(?:(.*)\/)?[^/]+$/
/** Frames looked at: what copies is near. */
const DEPTH = 12

/**
 * The layer of the innermost file of `src` that led here, as its folder: `node/net`, `mux/flow`, `.` for the root.
 * @returns undefined when nothing of `src` did
 */
export function layerOfCaller(): string | undefined {
  const { prepareStackTrace, stackTraceLimit } = Error
  Error.prepareStackTrace = (_error, sites) => sites
  Error.stackTraceLimit = DEPTH
  const sites = new Error().stack as unknown as readonly NodeJS.CallSite[]
  Error.prepareStackTrace = prepareStackTrace
  Error.stackTraceLimit = stackTraceLimit
  for (const site of sites) {
    const own = OWN.exec(site.getScriptNameOrSourceURL() ?? '')
    if (own !== null) return own[1] ?? '.'
  }
  return undefined
}
