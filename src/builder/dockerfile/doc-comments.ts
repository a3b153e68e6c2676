import type { SourceSpan } from './source.ts'

/**
 * What the comment right above an instruction says of a name: `# NAME what it is for`, or with a colon after the name.
 * Undefined where it says nothing.
 */
export function describedAbove({ source, startLine }: SourceSpan, name: string): string | undefined {
  const lines = source.text.split('\n', startLine - 1)
  for (let line = lines.pop()?.trim(); line?.startsWith('#'); line = lines.pop()?.trim()) {
    const comment = line.slice(1).trim()
    const [word = ''] = comment.split(/\s/, 1)
    if (word === name || word === `${name}:`) return comment.slice(word.length).trim() || undefined
  }
  return undefined
}
