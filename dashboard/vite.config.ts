import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vite'

/** The attribute would ask for headers that a server of its own files has no use for. */
const sameOrigin: Plugin = {
  name: 'same-origin',
  transformIndexHtml: (html) => html.replaceAll(' crossorigin', ''),
}

/** The page is served at `/dashboard/`, perhaps behind a prefix, under a policy that allows its own files only. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  clearScreen: false,
  logLevel: 'warn',
  plugins: [sameOrigin],
  oxc: { jsx: { runtime: 'automatic' } },
  build: {
    outDir: fileURLToPath(new URL('../dist/dashboard', import.meta.url)),
    emptyOutDir: true,
    target: ['chrome123', 'edge123', 'firefox121', 'safari17.5'],
    // the policy has no data: URLs
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1_000,
    rolldownOptions: {
      // libraries mark modules for servers that render; there is none here
      onLog: (level, log, show) => log.code === 'MODULE_LEVEL_DIRECTIVE' || show(level, log),
    },
    license: { fileName: 'THIRD-PARTY-LICENCES.md' },
  },
})
