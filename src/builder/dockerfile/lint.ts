/** BuildKit's lint rules that the text of a Dockerfile alone decides. Each looks at one thing and knows no other. */
import type { Warning } from './instructions.ts'
import type { SyntaxNode } from './syntax.ts'
import { splitFields } from './words.ts'

/** Findings about the text of instructions, FROM included. The case of ARGs before the first FROM is not looked at. */
export function lintNodes(nodes: readonly SyntaxNode[]): readonly Warning[] {
  const inStages = nodes.slice(nodes.findIndex(isFrom))
  const casing = majorityCasing(inStages)
  return [
    ...nodes.flatMap(blankContinuation),
    ...inStages.flatMap(node => [...keywordCasing(node, casing), ...(isFrom(node) ? fromCasing(node) : [])]),
  ]
}

function isFrom({ keyword }: SyntaxNode): boolean {
  return keyword.toLowerCase() === 'from'
}

function blankContinuation({ blankContinuation: span }: SyntaxNode): readonly Warning[] {
  const message = 'An instruction goes on over an empty line'
  return span === undefined ? [] : [{ rule: 'NoEmptyContinuation', message, span }]
}

/** Lower case only where most keywords have it. */
function majorityCasing(nodes: readonly SyntaxNode[]): 'uppercase' | 'lowercase' {
  const lower = nodes.filter(({ keyword }) => keyword === keyword.toLowerCase()).length
  const upper = nodes.filter(({ keyword }) => keyword === keyword.toUpperCase()).length
  return lower > upper ? 'lowercase' : 'uppercase'
}

function keywordCasing({ keyword, span }: SyntaxNode, casing: 'uppercase' | 'lowercase'): readonly Warning[] {
  const wanted = casing === 'lowercase' ? keyword.toLowerCase() : keyword.toUpperCase()
  if (keyword === wanted) return []
  const message = `${keyword} stands out: the other keywords are in ${casing}`
  return [{ rule: 'ConsistentInstructionCasing', message, span }]
}

function fromCasing({ keyword, rest, span }: SyntaxNode): readonly Warning[] {
  const [, as, name] = splitFields(rest)
  const found: Warning[] = []
  if (as !== undefined && ((isUpper(keyword) && !isUpper(as)) || (isLower(keyword) && !isLower(as))))
    found.push({
      rule: 'FromAsCasing',
      message: `${keyword} and ${as} are written in different cases`,
      span,
    })
  if (name !== undefined && name !== name.toLowerCase())
    found.push({
      rule: 'StageNameCasing',
      message: `The stage name ${JSON.stringify(name)} is not in lower case`,
      span,
    })
  return found
}

function isUpper(word: string): boolean {
  return word === word.toUpperCase()
}

function isLower(word: string): boolean {
  return word === word.toLowerCase()
}
