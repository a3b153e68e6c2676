import { invalid } from './invalid.ts'
import type { SourceSpan } from './source.ts'

/**
 * The words of the JSON form of an instruction (semantics 5). Text that is no JSON array is not an error but the
 * other form: undefined.
 * @throws BuildError for an array that holds anything but strings
 */
export function parseJsonForm(text: string, span: SourceSpan): readonly string[] | undefined {
  if (!text.startsWith('[')) return undefined
  const array = parseJsonArray(text)
  if (array === undefined) return undefined
  return array.map(item => {
    if (typeof item === 'string') return item.toWellFormed()
    throw invalid(`Cannot read the JSON form: it holds ${JSON.stringify(item)}, which is not a string`, span)
  })
}

function parseJsonArray(text: string): readonly unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
