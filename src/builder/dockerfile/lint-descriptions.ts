import { isDirective } from './directives.ts'
import type { Warning } from './instructions.ts'
import type { DockerfileSource } from './source.ts'
import type { SyntaxNode } from './syntax.ts'
import { splitFields } from './words.ts'

/** Findings about comments above ARG and FROM: what describes one begins with its name. */
export function lintDescriptions(source: DockerfileSource, nodes: readonly SyntaxNode[]): readonly Warning[] {
  const lines = source.text.split('\n')
  let start = lines.findIndex(line => !isDirective(line))
  return nodes.flatMap((node): readonly Warning[] => {
    const { keyword, span } = node
    const comment = lastComment(lines.slice(start, span.startLine - 1))
    start = span.endLine
    const names = namesOf(node)
    if (comment === undefined || names.length === 0 || names.includes(comment.split(' ')[0] ?? '')) return []
    const message = `The comment above ${keyword} ${names[0]} does not begin with its name`
    return [{ rule: 'InvalidDefinitionDescription', message, span }]
  })
}

/** A comment without text begins anew. */
function lastComment(lines: readonly string[]): string | undefined {
  const comments = lines.filter(line => line.trim().startsWith('#'))
  return comments.at(-1)?.slice(1).trim() || undefined
}

/** What ARG or FROM defines. */
function namesOf({ keyword, rest }: SyntaxNode): readonly string[] {
  const words = splitFields(rest)
  if (keyword.toLowerCase() === 'arg') return words.map(word => word.split('=')[0] ?? '')
  const [, as, name] = words
  return keyword.toLowerCase() === 'from' && as !== undefined && name !== undefined
    ? [name.toLowerCase()]
    : []
}
