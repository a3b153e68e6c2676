import type { Instruction } from './instructions.ts'
import { invalid } from './invalid.ts'
import { readInstruction } from './read-instruction.ts'
import { NO_TRIGGERS } from './read-onbuild.ts'
import type { SourceSpan } from './source.ts'
import { readNodes } from './syntax.ts'

/**
 * Reads a trigger that a base image brings along (`config.OnBuild`). Its text has no continuations any more, so the
 * escape is the backslash whatever the image was built with.
 * @param span the FROM that brought it: the place of the instruction and of errors
 * @throws BuildError `dockerfile-invalid` unless it is one instruction that may be a trigger
 */
export function parseOnbuildTrigger(text: string, span: SourceSpan): Instruction {
  const nodes = readNodes(text, '\\', () => span)
  const [node] = nodes
  if (node === undefined || nodes.length > 1)
    throw invalid(`Cannot run the trigger ${JSON.stringify(text)}: it must be one instruction`, span)
  if (NO_TRIGGERS.includes(node.keyword.toLowerCase()))
    throw invalid(
      `Cannot run the trigger ${JSON.stringify(text)}: ${node.keyword.toUpperCase()} cannot be a trigger`,
      span,
    )
  return readInstruction(node, { escape: '\\', warn: () => undefined })
}
