import { join } from 'node:path'
import type { BuildOptions, BuildResult } from '../../builder/build-options.ts'
import type { Explanation } from '../../builder/solve/explain.ts'
import type { Arguments } from '../arguments.ts'
import { ATTEST_OPTIONS, readAttestOptions } from '../build/attest-options.ts'
import { CACHE_OPTIONS, readCacheOptions } from '../build/cache-options.ts'
import { answerCall, CALL_OPTIONS, readCall } from '../build/call.ts'
import { formatExplanations } from '../build/explanations.ts'
import { failedRunOf } from '../build/failed-run.ts'
import { IMAGE_OPTIONS, readImageOptions } from '../build/image-options.ts'
import { INPUT_OPTIONS, readInputOptions } from '../build/input-options.ts'
import { type BuildInput, findInput, parseBuildContexts } from '../build/inputs.ts'
import { LIMIT_OPTIONS, readLimitOptions } from '../build/limit-options.ts'
import { createShellOnFailure, ON_ERROR_OPTIONS, readOnError } from '../build/on-error.ts'
import {
  OUTPUT_OPTIONS,
  readOutputOptions,
  readProgressMode,
  writeResultFiles,
} from '../build/output-options.ts'
import { ACCEPTED_OPTIONS, REFUSED_OPTIONS } from '../build/refused-options.ts'
import { isInputElsewhere, readInput } from '../build/remote-input.ts'
import { parseSsh } from '../build/ssh.ts'
import { readStepOptions, STEP_OPTIONS, withNetwork } from '../build/step-options.ts'
import { formatSummary, formatWarnings } from '../build/summary.ts'
import { buildDeps, openSources } from '../build/wiring.ts'
import { annotateWarnings } from '../ci/annotations.ts'
import { type Command, usage } from '../command.ts'
import { createProgress } from '../progress/create-progress.ts'
import { openRemote } from '../registries.ts'
import { openSession } from '../session.ts'
import type { Terminal } from '../terminal.ts'

export const command: Command = {
  name: 'build',
  summary: 'Build an image from a Dockerfile',
  usage: '[OPTIONS] PATH | URL | -',
  details: `PATH is the build context: the directory whose files COPY and ADD may read. With - it is a tar on standard input,
plain or compressed, or there is none and standard input is the Dockerfile. A URL is that of a tar, of a Dockerfile,
or of a Git repository: https://HOST/NAME.git, ssh://, git://, git@HOST:NAME, each with #REF:DIR or
?branch=, tag=, commit=, subdir=, keep-git-dir=, submodules=.
The image is in the store when the build ends, and every running 'slipway serve' over the store serves it.

Build contexts (--build-context NAME=CONTEXT, several allowed) are what FROM NAME and --from=NAME then mean:
  DIR                               the files of a directory
  URL                               those of a Git repository or a tar, written as a URL above
  docker-image://NAME               another image
  oci-layout://DIR[:TAG|@DIGEST]    an image in a directory in OCI layout
  target:STAGE                      another stage

Caches (--cache-from and --cache-to, several allowed) hold results of steps for other machines:
  NAME[:TAG]                        short for type=registry,ref=NAME[:TAG]
  type=registry,ref=NAME[:TAG]      in a registry; without a host in the store. --cache-from takes images with a cache too
  type=local,src=DIR[,tag=TAG][,digest=DIGEST]
  type=local,dest=DIR[,tag=TAG]     in a directory in OCI layout
  type=inline                       in the image itself, with --cache-to only
Both (registry, local) take cache-mounts=true, or "cache-mounts=ID,ID": what RUN --mount=type=cache has is passed on too.
--cache-to (registry, local) also takes:
  mode=min|max                      layers of the image, or of all steps (default min)
  ignore-error=true                 lets a cache that cannot be written be a warning
  compression=gzip|zstd|uncompressed[,compression-level=N]

Outputs (-o, several allowed):
  type=store                        the content store (the default)
  type=registry                     the store, and the registries that the names tell (--push)
  type=oci,dest=FILE[,tar=false]    an OCI archive, or a directory in that layout
  type=docker,dest=FILE[,tar=false] an archive for 'docker load'
  type=local,dest=DIR               the files of the image;  -o DIR is short for it
  type=tar,dest=FILE                the files of the image as a tar;  -o - writes it to standard output
  type=cacheonly                    nothing but the build cache
dest=- is standard output, and what oci and tar take without dest=. Images (store, oci, docker) also take:
  compression=gzip|zstd|uncompressed[,compression-level=N][,force-compression=true]
                                    of new layers; with force-compression also of the base's
  oci-mediatypes=false              the media types of Docker's manifests
  name=NAME[:TAG]                   another name beside those of -t
  annotation[-LEVEL][[PLATFORM]].KEY=VALUE
                                    LEVEL is manifest (the default), index, manifest-descriptor or index-descriptor
  rewrite-timestamp=false           with SOURCE_DATE_EPOCH, leaves files of new layers their later times`,
  options: {
    ...INPUT_OPTIONS,
    ...IMAGE_OPTIONS,
    ...CACHE_OPTIONS,
    ...STEP_OPTIONS,
    ...LIMIT_OPTIONS,
    ...OUTPUT_OPTIONS,
    ...ATTEST_OPTIONS,
    ...CALL_OPTIONS,
    ...ACCEPTED_OPTIONS,
    ...ON_ERROR_OPTIONS,
  },
  refused: REFUSED_OPTIONS,
  positionals: { min: 1, max: 1 },
  async run(args, terminal) {
    const mode = readProgressMode(args, terminal, refuse)
    const isQuiet = mode === 'quiet'
    const call = readCall(args, refuse)
    const flags = readFlags(args, terminal)
    const opensShell = readOnError(args, terminal, refuse)
    const startedAt = terminal.monotonicMs()
    const [context = ''] = args.positionals
    const dockerfile = args.value('file')
    // Files are looked for when all that was typed makes sense: standard input may be slow to come.
    const found = isInputElsewhere(context, dockerfile, terminal)
      ? undefined
      : await findInput(context, dockerfile, terminal)
    const ssh = parseSsh(args.values('ssh'), terminal)
    const namedContexts = await parseBuildContexts(args.values('build-context'), terminal)
    using session = await openSession(args, terminal, { addsContent: true })
    const temporaryDirectory = join(session.store.root, 'tmp')
    const { contentLimits } = session.settings
    await using sources = await openSources({ ...flags, ssh }, session, terminal)
    const progress = createProgress(mode, terminal)
    await using input =
      found ??
      (await readInput(context, dockerfile, flags, {
        sources,
        temporaryDirectory,
        contentLimits,
        terminal,
        progress,
      }))
    const options = withNetwork({ ...withInput(flags, input), namedContexts }, session.settings)
    using remote = openRemote(session, terminal)
    const deps = buildDeps(options, session, remote, sources, terminal, progress.sink)
    const { build } = await import('../../builder/build.ts')
    if (call !== undefined) {
      return await answerCall(call, options, deps, terminal).finally(() => progress.finish())
    }
    const explanations: Explanation[] = []
    let result: BuildResult
    try {
      result = await build(options, {
        ...deps,
        ...(opensShell && { onFailure: createShellOnFailure(terminal, progress) }),
        ...(args.flag('explain') && { explain: explanation => void explanations.push(explanation) }),
      })
    } catch (error) {
      progress.finish()
      if (explanations.length > 0) terminal.stderr.write(formatExplanations(explanations))
      // With --quiet nobody has seen what the step printed.
      if (isQuiet) for (const line of failedRunOf(error)?.output ?? []) terminal.stderr.write(`${line}\n`)
      throw error
    }
    progress.finish()
    await writeResultFiles(args, options, result, terminal)
    if (args.flag('explain')) terminal.stderr.write(formatExplanations(explanations))
    if (isQuiet) {
      terminal.stdout.write(`${result.imageID}\n`)
      return
    }
    // Who reads lines of JSON wants nothing else among them.
    if (mode === 'rawjson') {
      for (const warning of result.warnings) await progress.sink({ kind: 'warning', ...warning })
      return
    }
    const tookMs = terminal.monotonicMs() - startedAt
    const { listen } = session.settings
    annotateWarnings(result.warnings, terminal)
    terminal.stderr.write(
      `${formatWarnings(result.warnings)}${formatSummary(options, result, { listen, tookMs })}`,
    )
  },
}

type Flags = Omit<BuildOptions, 'context' | 'dockerfile' | 'namedContexts'>

function readFlags(args: Arguments, terminal: Terminal): Flags {
  return {
    ...readInputOptions(args, terminal),
    ...readImageOptions(args, terminal, refuse),
    ...readCacheOptions(args, terminal, refuse),
    ...readStepOptions(args, terminal, refuse),
    ...readLimitOptions(args, refuse),
    ...readOutputOptions(args, terminal, refuse),
    ...readAttestOptions(args, refuse),
  }
}

function refuse(problem: string): Error {
  return usage(command, problem)
}

function withInput(
  flags: Flags,
  { context, dockerfile: { source, path } }: BuildInput,
): Omit<BuildOptions, 'namedContexts'> {
  return { ...flags, context, dockerfile: source, ...(path !== undefined && { dockerfilePath: path }) }
}
