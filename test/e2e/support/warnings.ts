/** Warnings of builders as `line Rule`, sorted, each once: their words are each builder's own. */

/** Of what BuildKit prints, as JSON of a check or at the end of a build's plain progress. */
export function engineWarnings(printed: string): readonly string[] {
  if (printed.startsWith('{')) {
    const { warnings } = JSON.parse(printed) as { warnings: readonly EngineWarning[] | null }
    return distinct(
      (warnings ?? []).map(({ ruleName, location }) => `${location?.ranges?.[0]?.start.line} ${ruleName}`),
    )
  }
  return distinct(
    [...printed.matchAll(/^\S* - (\w+): .* \(line (\d+)\)$/gm)].map(([, rule, line]) => `${line} ${rule}`),
  )
}

interface EngineWarning {
  readonly ruleName: string
  readonly location?: { readonly ranges?: readonly { readonly start: { readonly line: number } }[] }
}

/** Of what we print: a frame that starts with the place, and the warning below it. */
export function ourWarnings(printed: string): readonly string[] {
  const found: string[] = []
  let place = ''
  for (const line of printed.split('\n')) {
    place = /^\S+:(\d+)$/.exec(line)?.[1] ?? place
    const rule = /^warning: ([A-Z]\w+): /.exec(line)?.[1]
    if (rule === undefined) continue
    if (place !== '') found.push(`${place} ${rule}`)
    place = ''
  }
  return distinct(found)
}

function distinct(found: readonly string[]): readonly string[] {
  return [...new Set(found)].sort(byLine)
}

function byLine(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : a > b ? 1 : 0)
}
