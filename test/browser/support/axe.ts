import axe from 'axe-core'
import type { Page } from 'playwright-core'

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** @returns one line for each rule that the page breaks, with where */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  // scripts that the page itself would load are refused by its policy: this comes in from outside
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe.source)
  return await page.evaluate(async (tags) => {
    // colours half-way to others are nobody's fault
    await Promise.allSettled(document.getAnimations().map((animation) => animation.finished))
    const run = (window as unknown as { axe: typeof axe }).axe
    const { violations } = await run.run(document, { runOnly: { type: 'tag', values: tags } })
    return violations.flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.target.join(' ')} ${node.failureSummary}`),
    )
  }, TAGS)
}
