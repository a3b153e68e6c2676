import { join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import type { BuildDeps, BuildOptions, BuildResult } from '../../builder/build.ts'
import { BuildError } from '../../builder/errors.ts'
import type { NetworkMode } from '../../builder/exec/executor.ts'
import { writeFileAtomically } from '../../builder/export/atomic-file.ts'
import type { Explanation } from '../../builder/solve/explain.ts'
import { parsePlatform, platformOfHost } from '../../oci/platform.ts'
import { parseReference, repositoryOf } from '../../oci/reference.ts'
import type { Arguments } from '../arguments.ts'
import {
  type BuildInput,
  findInput,
  parseBuildArgs,
  parseBuildContexts,
  parseLabels,
  readStandardInput,
} from '../build-inputs.ts'
import { buildMetadata, formatSummary, formatWarnings } from '../build-summary.ts'
import { buildDeps } from '../build-wiring.ts'
import { type Command, usage } from '../command.ts'
import { formatExplanations } from '../explanations.ts'
import { parseOutputs } from '../outputs.ts'
import { printable } from '../printable.ts'
import { createProgress, PROGRESS_MODES, type ProgressMode } from '../progress/create-progress.ts'
import { openRemote } from '../registries.ts'
import { parseSecrets } from '../secrets.ts'
import { openSession } from '../session.ts'
import type { Terminal } from '../terminal.ts'

const NETWORKS: readonly NetworkMode[] = ['default', 'host', 'none']

export const command: Command = {
  name: 'build',
  summary: 'Build an image from a Dockerfile',
  usage: '[OPTIONS] PATH | -',
  details: `PATH is the build context: the directory whose files COPY and ADD may read. With - it is a tar on standard input,
plain or compressed, or there is none and standard input is the Dockerfile.
The image is in the store when the build ends, and every running 'slipway serve' over the store serves it.

Build contexts (--build-context NAME=CONTEXT, several allowed) are what FROM NAME and --from=NAME then mean:
  DIR                               the files of a directory
  docker-image://NAME               another image
  oci-layout://DIR[:TAG]            an image in a directory in OCI layout
  target:STAGE                      another stage

Outputs (-o, several allowed):
  type=store                        the content store (the default)
  type=oci,dest=FILE[,tar=false]    an OCI archive, or a directory in that layout
  type=docker,dest=FILE[,tar=false] an archive for 'docker load'
  type=local,dest=DIR               the files of the image;  -o DIR is short for it
  type=tar,dest=FILE                the files of the image as a tar;  -o - writes it to standard output
  type=cacheonly                    nothing but the build cache
dest=- is standard output.`,
  options: {
    tag: { value: 'NAME[:TAG]', short: 't', repeated: true, help: 'Name of the image' },
    file: {
      value: 'FILE',
      short: 'f',
      help: 'The Dockerfile (default PATH/Dockerfile; - for standard input)',
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
    target: { value: 'STAGE', help: 'Build this stage instead of the last one' },
    label: { value: 'NAME=VALUE', repeated: true, help: 'Add a label to the image' },
    'no-cache': { help: 'Run every step, although its result is in the cache' },
    'no-cache-filter': {
      value: 'STAGE[,STAGE]',
      repeated: true,
      help: 'Run every step of these stages, although its result is in the cache',
    },
    check: { help: 'Print the warnings that the Dockerfile gives, and build nothing' },
    explain: { help: 'Tell of every step that ran why it was not cached' },
    pull: { help: 'Ask registries for newer base images' },
    network: { value: 'MODE', help: `Network of RUN: ${NETWORKS.join(', ')}` },
    'add-host': { value: 'NAME:ADDRESS', repeated: true, help: 'Add a line to /etc/hosts of RUN' },
    secret: {
      value: 'id=NAME[,src=FILE|,env=NAME]',
      repeated: true,
      help: 'A file or variable for RUN --mount=type=secret',
    },
    platform: { value: 'OS/ARCH', help: 'Platform of the image (default: that of this machine)' },
    output: { value: 'OUTPUT', short: 'o', repeated: true, help: 'Where the result goes (see above)' },
    progress: { value: 'MODE', help: `How progress is shown: ${PROGRESS_MODES.join(', ')}` },
    quiet: { short: 'q', help: 'Print only the image ID, as --progress quiet does' },
    iidfile: { value: 'FILE', help: 'Write the image ID to a file' },
    'metadata-file': { value: 'FILE', help: 'Write digests and names as JSON to a file' },
    runtime: {
      value: 'NAME',
      help: 'OCI runtime for RUN (default: the first of crun, runc, youki that works)',
    },
  },
  refused: {
    push: "give the image a registry's name with -t and run 'slipway push' (every 'slipway serve' has it already)",
    load: 'the image is in the store; -o type=docker,dest=- writes it for docker load',
    'cache-from': 'not yet',
    'cache-to': 'not yet',
    ssh: 'not yet',
    provenance: 'not yet',
    sbom: 'not yet',
    attest: 'not yet',
    annotation: 'not yet',
    allow: 'not yet',
    call: 'not yet',
    'shm-size': 'not yet',
    ulimit: 'not yet',
    memory: 'not yet',
    m: 'not yet',
    'memory-swap': 'not yet',
    'cpu-period': 'not yet',
    'cpu-quota': 'not yet',
    'cpu-shares': 'not yet',
    'cpuset-cpus': 'not yet',
    'cpuset-mems': 'not yet',
    'cgroup-parent': 'not yet',
    'security-opt': 'every RUN has a seccomp filter and the default capabilities',
    isolation: 'RUN is isolated by an OCI runtime; --runtime names it',
    compress: 'the context is read where it is and sent nowhere',
    rm: 'steps leave no containers behind',
    'force-rm': 'steps leave no containers behind',
    builder: 'there is one builder, and it needs no daemon',
    squash: 'multi-stage builds and -o type=tar do what it was used for',
  },
  positionals: { min: 1, max: 1 },
  async run(args, terminal) {
    const mode = progressMode(args)
    const isQuiet = mode === 'quiet'
    const flags = readFlags(args, terminal)
    if (isQuiet && flags.outputs.some(output => 'dest' in output && output.dest === terminal.stdout))
      throw usage(command, '--quiet prints the image ID to standard output, which --output takes')
    const startedAt = terminal.monotonicMs()
    const [context = ''] = args.positionals
    const dockerfile = args.value('file')
    // Files are looked for when all that was typed makes sense: standard input may be slow to come.
    const found = context === '-' ? undefined : await findInput(context, dockerfile, terminal)
    const namedContexts = await parseBuildContexts(args.values('build-context'), terminal)
    using session = await openSession(args, terminal)
    const temporaryDirectory = join(session.store.root, 'tmp')
    await using input = found ?? (await readStandardInput(dockerfile, terminal, temporaryDirectory))
    const options = { ...withInput(flags, input), namedContexts }
    using remote = openRemote(session, terminal)
    const progress = createProgress(mode, terminal)
    const { build } = await import('../../builder/build.ts')
    if (args.flag('check')) {
      await printCheck(options, buildDeps(options, session, remote, terminal, progress.sink), terminal)
      progress.finish()
      return
    }
    const explanations: Explanation[] = []
    let result: BuildResult
    try {
      result = await build(options, {
        ...buildDeps(options, session, remote, terminal, progress.sink),
        ...(args.flag('explain') && { explain: explanation => void explanations.push(explanation) }),
      })
    } catch (error) {
      progress.finish()
      if (explanations.length > 0) terminal.stderr.write(formatExplanations(explanations))
      if (isQuiet) terminal.stderr.write(lastWords(error))
      throw error
    }
    progress.finish()
    await writeFiles(args, options, result, terminal)
    if (args.flag('explain')) terminal.stderr.write(formatExplanations(explanations))
    if (isQuiet) {
      terminal.stdout.write(`${result.imageID}\n`)
      return
    }
    // Who reads lines of JSON wants nothing else among them.
    if (mode === 'rawjson') {
      for (const { text } of result.warnings) await progress.sink({ kind: 'warning', text })
      return
    }
    const tookMs = terminal.monotonicMs() - startedAt
    const { listen } = session.settings
    terminal.stderr.write(
      `${formatWarnings(result.warnings)}${formatSummary(options, result, { listen, tookMs })}`,
    )
  },
}

function readFlags(
  args: Arguments,
  terminal: Terminal,
): Omit<BuildOptions, 'context' | 'dockerfile' | 'namedContexts'> {
  const tags = args.values('tag').map(parseReference)
  const pinned = tags.find(tag => tag.digest !== undefined)
  if (pinned !== undefined)
    throw usage(command, `--tag ${repositoryOf(pinned)}@${pinned.digest}: the digest is the build's to find`)
  const network = args.value('network') ?? 'default'
  if (!isNetwork(network))
    throw usage(command, `--network is ${NETWORKS.join(', ')}, not ${JSON.stringify(network)}`)
  const target = args.value('target')
  const platform = args.value('platform')
  return {
    tags,
    buildArgs: parseBuildArgs(args.values('build-arg'), terminal.env),
    ...(target !== undefined && { target }),
    labels: parseLabels(args.values('label')),
    noCache: args.flag('no-cache'),
    noCacheStages: args.values('no-cache-filter').flatMap(list => list.split(',').filter(Boolean)),
    pull: args.flag('pull'),
    network,
    outputs: parseOutputs(args.values('output'), terminal, problem => usage(command, problem)),
    ...(platform !== undefined && {
      platform: parsePlatform(platform, platformOfHost(terminal.platform, terminal.arch)),
    }),
    extraHosts: args.values('add-host'),
    secrets: parseSecrets(args.values('secret'), terminal),
  }
}

/** @throws BuildError `check-failed` when there is anything to warn of */
async function printCheck(options: BuildOptions, deps: BuildDeps, { stdout }: Terminal): Promise<void> {
  const { check } = await import('../../builder/build.ts')
  const warnings = await check(options, deps)
  stdout.write(warnings.length === 0 ? 'No warnings.\n' : formatWarnings(warnings))
  if (warnings.length > 0)
    throw new BuildError(
      'check-failed',
      `Cannot pass the check: ${warnings.length === 1 ? 'there is a warning' : `there are ${warnings.length} warnings`}`,
    )
}

function withInput(
  flags: ReturnType<typeof readFlags>,
  { context, dockerfile: { source, path } }: BuildInput,
): Omit<BuildOptions, 'namedContexts'> {
  return { ...flags, context, dockerfile: source, ...(path !== undefined && { dockerfilePath: path }) }
}

function progressMode(args: Arguments): ProgressMode {
  if (args.flag('quiet')) return 'quiet'
  const mode = args.value('progress') ?? 'auto'
  const known = PROGRESS_MODES.find(known => known === mode)
  if (known === undefined)
    throw usage(command, `--progress is ${PROGRESS_MODES.join(', ')}, not ${JSON.stringify(mode)}`)
  return known
}

function isNetwork(text: string): text is NetworkMode {
  return NETWORKS.some(mode => mode === text)
}

/** What the failed step printed last, which with `--quiet` nobody has seen. */
function lastWords(error: unknown): string {
  if (!(error instanceof BuildError) || error.code !== 'run-failed') return ''
  const { detail } = error
  const output =
    typeof detail === 'object' && detail !== null && 'output' in detail && Array.isArray(detail.output)
      ? detail.output
      : []
  return output.map(line => `${printable(stripVTControlCharacters(String(line)))}\n`).join('')
}

async function writeFiles(
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
