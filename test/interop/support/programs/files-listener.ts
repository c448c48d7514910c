import type { RequestListener } from 'node:http'

/** Paths and what is there. */
export type Files = Readonly<Record<string, string | Uint8Array>>

/** Serves files: 404 for all other paths. What is JSON says so, for programs that look. */
export function filesListener(files: Files): RequestListener {
  return ({ url = '', method }, response) => {
    const content = files[new URL(url, 'http://files').pathname]
    if (content === undefined) return response.writeHead(404).end()
    const type = typeof content === 'string' && content.startsWith('{') ? 'application/json' : 'text/html'
    response.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(content) })
    return response.end(method === 'HEAD' ? undefined : content)
  }
}
