/** Where the result goes, and what is told of it. */
import { resolve } from 'node:path'
import type { BuildOptions, BuildResult } from '../../builder/build.ts'
import { writeFileAtomically } from '../../builder/export/atomic-file.ts'
import type { Arguments } from '../arguments.ts'
import { buildMetadata } from '../build-summary.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import { parseOutputs } from '../outputs.ts'
import { PROGRESS_MODES, type ProgressMode } from '../progress/create-progress.ts'
import type { Terminal } from '../terminal.ts'

export const OUTPUT_OPTIONS: OptionSpecs = {
  output: { value: 'OUTPUT', short: 'o', repeated: true, help: 'Where the result goes (see above)' },
  progress: { value: 'MODE', help: `How progress is shown: ${PROGRESS_MODES.join(', ')}` },
  quiet: { short: 'q', help: 'Print only the image ID, as --progress quiet does' },
  iidfile: { value: 'FILE', help: 'Write the image ID to a file' },
  'metadata-file': { value: 'FILE', help: 'Write digests and names as JSON to a file' },
}

export function readOutputOptions(
  args: Arguments,
  terminal: Terminal,
  refuse: Refuse,
): Pick<BuildOptions, 'outputs'> {
  const outputs = parseOutputs(args.values('output'), terminal, refuse)
  const takesStdout = outputs.some(output => 'dest' in output && output.dest === terminal.stdout)
  if (takesStdout && readProgressMode(args, refuse) === 'quiet')
    throw refuse('--quiet prints the image ID to standard output, which --output takes')
  return { outputs }
}

export function readProgressMode(args: Arguments, refuse: Refuse): ProgressMode {
  if (args.flag('quiet')) return 'quiet'
  const mode = args.value('progress') ?? 'auto'
  const known = PROGRESS_MODES.find(known => known === mode)
  if (known === undefined)
    throw refuse(`--progress is ${PROGRESS_MODES.join(', ')}, not ${JSON.stringify(mode)}`)
  return known
}

/** Of `--iidfile` and `--metadata-file`. */
export async function writeResultFiles(
  args: Arguments,
  options: BuildOptions,
  result: BuildResult,
  { workingDirectory }: Terminal,
): Promise<void> {
  const files = [
    [args.value('iidfile'), result.imageID],
    [args.value('metadata-file'), `${JSON.stringify(buildMetadata(options, result), null, 2)}\n`],
  ] as const
  for (const [named, content] of files) {
    if (named !== undefined)
      await writeFileAtomically(resolve(workingDirectory, named), async to => void to.end(content))
  }
}
