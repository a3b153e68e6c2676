import { readFlags } from './flags.ts'
import type { ArgInstruction, EnvInstruction, KeyValue, LabelInstruction } from './instructions.ts'
import { invalid } from './invalid.ts'
import { type Reading, someArguments } from './reading.ts'
import type { SyntaxNode } from './syntax.ts'
import { splitFirst, splitQuoted } from './words.ts'

export function readEnv(node: SyntaxNode, reading: Reading): EnvInstruction {
  return { kind: 'env', pairs: readPairs(node, 'ENV', reading), span: node.span, original: node.original }
}

export function readLabel(node: SyntaxNode, reading: Reading): LabelInstruction {
  return { kind: 'label', pairs: readPairs(node, 'LABEL', reading), span: node.span, original: node.original }
}

export function readArg(node: SyntaxNode, reading: Reading): ArgInstruction {
  const words = someArguments(splitQuoted(node.rest, reading.escape), node, 'ARG')
  const args = words.map(word => {
    const equals = word.indexOf('=')
    if (equals === 0) throw blankName(node, 'ARG')
    return equals === -1 ? { key: word } : { key: word.slice(0, equals), value: word.slice(equals + 1) }
  })
  return { kind: 'arg', args, span: node.span, original: node.original }
}

/** Checks the form alone, as far as it is wrong under ONBUILD too. */
export function checkPairs(node: SyntaxNode, instruction: string, reading: Reading): void {
  splitPairs(node, instruction, reading)
}

function readPairs(node: SyntaxNode, instruction: string, reading: Reading): readonly KeyValue[] {
  readFlags(node.flags, {}, instruction, node.span)
  const pairs = splitPairs(node, instruction, reading)
  if (pairs.some(({ key }) => key === '')) throw blankName(node, instruction)
  return pairs
}

/** `=` in the first word decides between `name=value ...` and the old `name text to the end` (semantics 6). */
function splitPairs(node: SyntaxNode, instruction: string, reading: Reading): readonly KeyValue[] {
  const words = someArguments(splitQuoted(node.rest, reading.escape), node, instruction)
  if (!words[0]?.includes('=')) return [readOldPair(node, instruction, reading)]
  return words.map(word => {
    const equals = word.indexOf('=')
    if (equals !== -1) return { key: word.slice(0, equals), value: word.slice(equals + 1) }
    throw invalid(
      `Cannot read ${instruction}: ${JSON.stringify(word)} has no "=", want name=value`,
      node.span,
      'put quotes around a value with spaces',
    )
  })
}

function readOldPair(node: SyntaxNode, instruction: string, reading: Reading): KeyValue {
  const [key, value] = splitFirst(node.rest)
  if (value === undefined)
    throw invalid(
      `Cannot read ${instruction}: ${JSON.stringify(key)} has no value, want name=value`,
      node.span,
    )
  reading.warn({
    rule: 'LegacyKeyValueFormat',
    message: `${instruction} takes one pair without =: write ${instruction} key=value`,
    span: node.span,
  })
  return { key, value }
}

function blankName(node: SyntaxNode, instruction: string): Error {
  return invalid(`Cannot read ${instruction}: a name is empty`, node.span)
}
