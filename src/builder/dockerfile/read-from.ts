import { readFlags } from './flags.ts'
import type { Stage } from './instructions.ts'
import { invalid } from './invalid.ts'
import type { Reading } from './reading.ts'
import type { SyntaxNode } from './syntax.ts'
import { splitFields } from './words.ts'

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/

/** Names that mean something else where a stage could be named. */
const RESERVED_NAMES: readonly string[] = ['scratch', 'context']

/** FROM. @param taken names of earlier stages */
export function readFrom(
  node: SyntaxNode,
  taken: ReadonlySet<string>,
  reading: Reading,
): Omit<Stage, 'index' | 'instructions'> {
  const { span, original } = node
  const words = splitFields(node.rest)
  const [base, as, written] = words
  const name = written?.toLowerCase()
  if (base === undefined || (words.length !== 1 && (words.length !== 3 || as?.toLowerCase() !== 'as')))
    throw invalid('Cannot read FROM: want "FROM <image>" or "FROM <image> AS <name>"', span)
  if (name !== undefined) checkName(name, taken, node, reading)
  const { platform } = readFlags(node.flags, { platform: 'text' }, 'FROM', span)
  return {
    ...(name !== undefined && { name }),
    base,
    ...(platform !== undefined && { platform }),
    span,
    original,
  }
}

/** @param name in lower case (semantics 16) */
function checkName(name: string, taken: ReadonlySet<string>, node: SyntaxNode, reading: Reading): void {
  const { span } = node
  if (!STAGE_NAME.test(name))
    throw invalid(
      `Cannot name a stage ${JSON.stringify(name)}: a name is a letter, then letters, digits, "-", "_" or "."`,
      span,
    )
  if (RESERVED_NAMES.includes(name))
    reading.warn({
      rule: 'ReservedStageName',
      message: `The stage name ${JSON.stringify(name)} has a meaning of its own: no --from will find this stage`,
      span,
    })
  if (taken.has(name))
    reading.warn({
      rule: 'DuplicateStageName',
      message: `The stage name ${JSON.stringify(name)} is taken by an earlier stage`,
      span,
    })
}
