/**
 * What a dashboard and a Prometheus ask of a server: `node onlooker.mjs PORT KEY`. It reads the events with the counts, all lists
 * every two seconds as the page of streams does, and the metrics every five.
 */
const [port, key] = process.argv.slice(2)
const LISTS_MS = 2_000
const METRICS_MS = 5_000

const get = (/** @type {string} */ path) =>
  fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'x-api-key': key ?? '' } })

async function read(/** @type {string} */ path) {
  const response = await get(path)
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  await response.text()
}

async function readEvents() {
  const { body } = await get('/api/events')
  if (body === null) throw new Error('no events')
  for await (const _chunk of body);
}

const readLists = () =>
  Promise.all(['/api/server', '/api/tokens', '/api/clients', '/api/streams?limit=1000&order=newest'].map(read))

setInterval(readLists, LISTS_MS)
setInterval(() => read('/metrics'), METRICS_MS)
await Promise.all([readLists(), read('/metrics'), readEvents()])
