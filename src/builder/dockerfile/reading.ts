import type { Escape, Warning } from './instructions.ts'
import { invalid } from './invalid.ts'
import type { SyntaxNode } from './syntax.ts'

/** What the readers of instructions share. */
export interface Reading {
  readonly escape: Escape
  warn(warning: Warning): void
}

/** The whole text as one argument. */
export function oneArgument(node: SyntaxNode, instruction: string): string {
  if (node.rest === '') throw invalid(`Cannot read ${instruction}: it needs an argument`, node.span)
  return node.rest
}

/** @throws BuildError when there are none */
export function someArguments(
  words: readonly string[],
  node: SyntaxNode,
  instruction: string,
): readonly string[] {
  if (words.length === 0)
    throw invalid(`Cannot read ${instruction}: it needs at least one argument`, node.span)
  return words
}
