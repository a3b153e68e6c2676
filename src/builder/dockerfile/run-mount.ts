import { invalid } from './invalid.ts'
import type { SourceSpan } from './source.ts'

/**
 * Checks what can be known of a `--mount` before variables expand: `from` has none (semantics 8).
 * @throws BuildError `dockerfile-invalid`
 */
export function checkMountText(text: string, span: SourceSpan): void {
  const from = /(?:^|,)\s*from=([^,]*)/i.exec(text)?.[1]
  if (from === undefined || !/\$./.test(from)) return
  throw invalid(
    `Cannot mount from ${JSON.stringify(from)}: variables do not expand in "from"`,
    span,
    'write "FROM <image with variables> AS <name>" and mount from that name',
  )
}
