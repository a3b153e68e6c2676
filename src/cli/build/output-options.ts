/** Where the result goes, and what is told of it. */
import { resolve } from 'node:path'
import type { BuildOptions, BuildResult } from '../../builder/build-options.ts'
import { writeFileAtomically } from '../../builder/export/atomic-file.ts'
import { DEFAULT_IMAGE_SETTINGS } from '../../builder/export/image-settings.ts'
import { isImageOutput, type Output } from '../../builder/export/output.ts'
import { platformOfHost } from '../../oci/platform.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import { PROGRESS_MODES, type ProgressMode } from '../progress/create-progress.ts'
import type { Terminal } from '../terminal.ts'
import { parseAnnotation } from './annotation.ts'
import { parseOutputs } from './outputs.ts'
import { buildMetadata } from './summary.ts'

export const OUTPUT_OPTIONS: OptionSpecs = {
  output: { value: 'OUTPUT', short: 'o', repeated: true, help: 'Where the result goes (see above)' },
  push: { help: 'Push the image to the registry that its name tells; short for -o type=registry' },
  load: { help: 'Keep the image in the store, whatever else is written' },
  annotation: {
    value: '[LEVEL:]NAME=VALUE',
    repeated: true,
    help: 'Add an annotation to the manifest, index, or a descriptor',
  },
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
  const outputs = withFlags(parseOutputs(args.values('output'), terminal, refuse), args, terminal, refuse)
  const takesStdout = outputs.some(output => 'dest' in output && output.dest === terminal.stdout)
  if (takesStdout && readProgressMode(args, terminal, refuse) === 'quiet')
    throw refuse('--quiet prints the image ID to standard output, which --output takes')
  return { outputs }
}

/** What short options add to the outputs. */
function withFlags(
  given: readonly Output[],
  args: Arguments,
  terminal: Terminal,
  refuse: Refuse,
): readonly Output[] {
  const host = platformOfHost(terminal.platform, terminal.arch)
  const annotations = args.values('annotation').flatMap(text => parseAnnotation(text, host, refuse))
  const wantsStore = args.flag('load') || args.flag('push') || (given.length === 0 && annotations.length > 0)
  const hasStore = given.some(({ type }) => type === 'store')
  const outputs: readonly Output[] = wantsStore && !hasStore ? [...given, { type: 'store' }] : given
  return outputs.map(output => {
    if (!isImageOutput(output)) return output
    const pushed =
      output.type === 'store' && args.flag('push') ? { ...output, push: output.push ?? 'by-tag' } : output
    if (annotations.length === 0) return pushed
    const settings = pushed.settings ?? DEFAULT_IMAGE_SETTINGS
    if (settings.mediaTypes === 'docker')
      throw refuse('--annotation needs OCI media types, not oci-mediatypes=false')
    return { ...pushed, settings: { ...settings, annotations: [...settings.annotations, ...annotations] } }
  })
}

export function readProgressMode(
  args: Arguments,
  terminal: Pick<Terminal, 'env'>,
  refuse: Refuse,
): ProgressMode {
  if (args.flag('quiet')) return 'quiet'
  const mode = args.value('progress') ?? terminal.env.BUILDKIT_PROGRESS ?? 'auto'
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
