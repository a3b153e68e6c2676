import { readFlags } from './flags.ts'
import type { OnbuildInstruction } from './instructions.ts'
import { invalid } from './invalid.ts'
import { parseJsonForm } from './json-form.ts'
import { checkPairs } from './read-pairs.ts'
import { oneArgument, type Reading } from './reading.ts'
import { type SyntaxNode, splitInstruction } from './syntax.ts'

/** Instructions that cannot be triggers (semantics 78). */
export const NO_TRIGGERS: readonly string[] = ['from', 'maintainer', 'onbuild']

/** ONBUILD: the trigger stays text. Its form is checked, the rest when a child is built. */
export function readOnbuild(node: SyntaxNode, reading: Reading): OnbuildInstruction {
  const { span } = node
  const trigger = { ...node, ...splitInstruction(oneArgument(node, 'ONBUILD')) }
  readFlags(node.flags, {}, 'ONBUILD', span)
  const name = trigger.keyword.toLowerCase()
  if (NO_TRIGGERS.includes(name))
    throw invalid(`Cannot read ONBUILD: ${name.toUpperCase()} cannot be a trigger`, span)
  checkForm(name, trigger, reading)
  const line = node.original.replace(/^\s*onbuild\s*/i, '')
  const bodies = node.heredocs.map(heredoc => `\n${heredoc.content}${heredoc.name}`)
  return { kind: 'onbuild', expression: line + bodies.join(''), span, original: node.original }
}

function checkForm(name: string, trigger: SyntaxNode, reading: Reading): void {
  if (name === 'env' || name === 'label') {
    if (trigger.rest !== '') checkPairs(trigger, name.toUpperCase(), { ...reading, warn: () => undefined })
  } else if (['add', 'cmd', 'copy', 'entrypoint', 'run', 'shell', 'volume'].includes(name)) {
    parseJsonForm(trigger.rest, trigger.span)
  }
}
