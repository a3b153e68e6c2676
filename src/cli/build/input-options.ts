/** What is built: the Dockerfile, its arguments and contexts. */
import type { BuildOptions } from '../../builder/build-options.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { parseBuildArgs } from './inputs.ts'

export const INPUT_OPTIONS: OptionSpecs = {
  file: {
    value: 'FILE',
    short: 'f',
    help: 'The Dockerfile (default PATH/Dockerfile; - for standard input; or a URL)',
  },
  'build-arg': {
    value: 'NAME[=VALUE]',
    repeated: true,
    help: 'Value of an ARG; without =VALUE the one of the environment',
  },
  'build-context': {
    value: 'NAME=CONTEXT',
    repeated: true,
    help: 'Let a stage or image name mean something else (see above)',
  },
  'normalize-modes': {
    help: 'Let umask and checkout change nothing: files 0644 or 0755, directories 0755',
  },
  target: { value: 'STAGE', help: 'Build this stage instead of the last one' },
}

export function readInputOptions(
  args: Arguments,
  terminal: Terminal,
): Pick<BuildOptions, 'buildArgs' | 'target' | 'normalizeModes'> {
  const target = args.value('target')
  return {
    buildArgs: parseBuildArgs(args.values('build-arg'), terminal.env),
    ...(target !== undefined && { target }),
    ...(args.flag('normalize-modes') && { normalizeModes: true }),
  }
}
