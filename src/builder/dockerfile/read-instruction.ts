import { readFlags } from './flags.ts'
import type { Instruction } from './instructions.ts'
import { didYouMean, invalid } from './invalid.ts'
import { parseJsonForm } from './json-form.ts'
import { readHealthcheck } from './read-healthcheck.ts'
import { readOnbuild } from './read-onbuild.ts'
import { readArg, readEnv, readLabel } from './read-pairs.ts'
import { readCommand, readRun } from './read-run.ts'
import { readAdd, readCopy } from './read-transfer.ts'
import { oneArgument, type Reading, someArguments } from './reading.ts'
import { trim } from './space.ts'
import { suggest } from './suggest.ts'
import type { SyntaxNode } from './syntax.ts'
import { splitFields } from './words.ts'

/** Reads any instruction but FROM. @throws BuildError `dockerfile-invalid` at the instruction's place */
export function readInstruction(node: SyntaxNode, reading: Reading): Instruction {
  const name = node.keyword.toLowerCase()
  if (Object.hasOwn(READERS, name)) return READERS[name as Instruction['kind']](node, reading)
  const names = ['FROM', ...Object.keys(READERS).map(known => known.toUpperCase())]
  throw invalid(
    `Cannot read ${JSON.stringify(node.keyword)}: unknown instruction`,
    node.span,
    didYouMean(suggest(node.keyword, names)),
  )
}

type Readers = {
  readonly [Kind in Instruction['kind']]: (
    node: SyntaxNode,
    reading: Reading,
  ) => Extract<Instruction, { kind: Kind }>
}

const READERS: Readers = {
  add: readAdd,
  arg: readArg,
  cmd: node => ({ kind: 'cmd', command: commandOf(node, 'CMD'), ...place(node) }),
  copy: readCopy,
  entrypoint: node => ({ kind: 'entrypoint', command: commandOf(node, 'ENTRYPOINT'), ...place(node) }),
  env: readEnv,
  expose: node => {
    const ports = someArguments(splitFields(node.rest), node, 'EXPOSE')
    readFlags(node.flags, {}, 'EXPOSE', node.span)
    return { kind: 'expose', ports: ports.toSorted(), ...place(node) }
  },
  healthcheck: readHealthcheck,
  label: readLabel,
  maintainer: (node, reading) => {
    reading.warn({
      rule: 'MaintainerDeprecated',
      message: 'MAINTAINER is a thing of the past: LABEL org.opencontainers.image.authors says the same',
      span: node.span,
    })
    return { kind: 'maintainer', name: plainArgument(node, 'MAINTAINER'), ...place(node) }
  },
  onbuild: readOnbuild,
  run: readRun,
  shell: node => {
    readFlags(node.flags, {}, 'SHELL', node.span)
    const args = parseJsonForm(oneArgument(node, 'SHELL'), node.span)
    if (args === undefined)
      throw invalid('Cannot read SHELL: it needs the JSON form', node.span, 'write SHELL ["/bin/sh", "-c"]')
    return { kind: 'shell', args: someArguments(args, node, 'SHELL'), ...place(node) }
  },
  stopsignal: node => ({ kind: 'stopsignal', signal: oneArgument(node, 'STOPSIGNAL'), ...place(node) }),
  user: node => ({ kind: 'user', user: plainArgument(node, 'USER'), ...place(node) }),
  volume: node => {
    const words = parseJsonForm(node.rest, node.span) ?? splitFields(node.rest)
    const paths = someArguments(words, node, 'VOLUME').map(trim)
    readFlags(node.flags, {}, 'VOLUME', node.span)
    if (paths.includes('')) throw invalid('Cannot read VOLUME: a path is empty', node.span)
    return { kind: 'volume', paths, ...place(node) }
  },
  workdir: node => ({ kind: 'workdir', path: plainArgument(node, 'WORKDIR'), ...place(node) }),
}

function place(node: SyntaxNode): Pick<Instruction, 'span' | 'original'> {
  return { span: node.span, original: node.original }
}

function plainArgument(node: SyntaxNode, instruction: string): string {
  readFlags(node.flags, {}, instruction, node.span)
  return oneArgument(node, instruction)
}

function commandOf(node: SyntaxNode, instruction: string): ReturnType<typeof readCommand> {
  readFlags(node.flags, {}, instruction, node.span)
  return readCommand(node.rest, node.span)
}
