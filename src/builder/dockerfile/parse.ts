import type { ArgInstruction, Dockerfile, Instruction, Stage, Warning } from './instructions.ts'
import { invalid } from './invalid.ts'
import { lintNodes } from './lint.ts'
import { lintDescriptions } from './lint-descriptions.ts'
import { readFrom } from './read-from.ts'
import { readInstruction } from './read-instruction.ts'
import type { DockerfileSource } from './source.ts'
import { parseSyntax, type SyntaxNode } from './syntax.ts'

/** Text to typed instructions. @throws BuildError `dockerfile-invalid` at the place of the first thing wrong */
export function parseDockerfile(source: DockerfileSource): Dockerfile {
  const { directives, nodes } = parseSyntax(source)
  if (nodes.length === 0) throw invalid(`Cannot build ${source.name}: it holds no instructions`, undefined)
  const warnings: Warning[] = []
  const reading = { escape: directives.escape, warn: (warning: Warning) => warnings.push(warning) }
  const metaArgs: ArgInstruction[] = []
  const stages: (Stage & { readonly instructions: Instruction[] })[] = []
  const names = new Set<string>()
  for (const node of nodes) {
    if (node.keyword.toLowerCase() === 'from') {
      const stage = readFrom(node, names, reading)
      if (stage.name !== undefined) names.add(stage.name)
      stages.push({ index: stages.length, ...stage, instructions: [] })
      continue
    }
    const instruction = readInstruction(node, reading)
    const stage = stages.at(-1)
    if (stage !== undefined) stage.instructions.push(instruction)
    else if (instruction.kind === 'arg') metaArgs.push(instruction)
    else throw beforeFrom(node)
  }
  if (stages.length === 0)
    throw invalid(
      `Cannot build ${source.name}: it holds no stage`,
      nodes.at(-1)?.span,
      'add a FROM instruction',
    )
  warnings.push(...lintNodes(nodes), ...lintDescriptions(source, nodes))
  return { source, directives, metaArgs, stages, warnings }
}

function beforeFrom(node: SyntaxNode): Error {
  return invalid(
    `Cannot read ${node.keyword.toUpperCase()}: no build stage has begun`,
    node.span,
    'only ARG may stand before the first FROM',
  )
}
