import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Scene } from '../../../support/e2e/scene.js'
import { decodePng, type Image } from './png.js'
import { folder, output } from './programs.js'

/** What keeps it from asking others for anything but the page, and makes it run as root. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-features=NetworkTimeServiceQuerying,OptimizationHints,OptimizationGuideModelDownloading',
  '--disable-default-apps',
  '--disable-extensions',
  '--disable-sync',
  '--hide-scrollbars',
  '--force-device-scale-factor=1',
]

/** The picture of a page that a browser of its own, with no history, has loaded. */
export async function screenshot(
  scene: Scene,
  url: string,
  [width, height]: readonly [number, number],
  flags: readonly string[],
): Promise<Image> {
  const cwd = folder(scene)
  const file = join(cwd, 'page.png')
  const here = [`--user-data-dir=${join(cwd, 'profile')}`, `--window-size=${width},${height}`, `--screenshot=${file}`]
  await output(scene, ['chromium', ...FLAGS, ...here, ...flags, url], { cwd })
  return decodePng(readFileSync(file))
}
