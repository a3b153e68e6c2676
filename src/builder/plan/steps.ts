/** Instructions that make a layer: RUN, COPY, ADD, WORKDIR. */
import { posix } from 'node:path'
import { type Digest, isDigest } from '../../oci/digest.ts'
import type {
  AddInstruction,
  CopyInstruction,
  RunInstruction,
  WorkdirInstruction,
} from '../dockerfile/instructions.ts'
import { invalid } from '../dockerfile/invalid.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { BuildError } from '../errors.ts'
import type { CopySource, Unpacking } from '../ops/copy-spec.ts'
import { proxyEnv } from './arguments.ts'
import { runText, transferText } from './history.ts'
import { commandArgs } from './metadata.ts'
import type { RunDefinition, TransferDefinition } from './op-definition.ts'
import { planMounts, scriptPath } from './run-mounts.ts'
import { commandText, shellOf } from './shell.ts'
import { type StageDraft, withConfig, withHistory, workingDirectory } from './stage-draft.ts'
import type { StageScope } from './stage-scope.ts'

export async function applyRun(
  draft: StageDraft,
  instruction: RunInstruction,
  scope: StageScope,
): Promise<StageDraft> {
  const { span, command, devices, security, network } = instruction
  if (devices.length > 0)
    throw invalid(
      'Cannot give a device to RUN: --device names one of the CDI registry of a BuildKit daemon, which is not there',
      span,
      'with --security=insecure a step may make and open the nodes of devices',
    )
  if (security === 'insecure' && !scope.allowsInsecure)
    throw invalid(
      'Cannot run without walls: RUN --security=insecure was not allowed',
      span,
      '--allow security.insecure lets it do to this machine what root may do',
    )
  const isScript = command.form === 'file'
  const args = commandArgs(draft, isScript ? { form: 'shell', script: scriptPath(command.name) } : command)
  const { mounts, sources } = await planMounts(draft, instruction, scope)
  const definition: RunDefinition = {
    kind: 'run',
    args,
    env: [...draft.env].map(([name, value]) => `${name}=${value}`),
    proxyEnv: proxyEnv(scope.buildArgs),
    cwd: workingDirectory(draft),
    user: draft.image.config.config.User ?? '',
    hostname: scope.hostname,
    network: network ?? scope.network,
    extraHosts: scope.extraHosts,
    platform: scope.platform,
    ...(security === 'insecure' && { isPrivileged: true }),
    mounts,
  }
  const vertex = scope.createVertex(definition, [draft.root, ...sources], instruction.title, span, {
    ...shellOf(draft, scope, definition.network),
    command: commandText(command),
  })
  return withHistory(draft, runText(draft, args), vertex)
}

export async function applyTransfer(
  draft: StageDraft,
  instruction: CopyInstruction | AddInstruction,
  scope: StageScope,
): Promise<StageDraft> {
  const { kind, span, chown, chmod } = instruction
  // Semantics 46: --chmod wins.
  const link = instruction.link && chmod === undefined
  refuseLaterFlags(instruction)
  const word = (text: string): string => scope.expand.word(text, draft.env, span)
  const from = kind === 'copy' ? instruction.from : undefined
  const definition: TransferDefinition = {
    kind,
    from: from === undefined ? 'context' : 'stage',
    sources: expandSources(draft, instruction, scope),
    exclude: instruction.exclude,
    parents: instruction.kind === 'copy' && instruction.parents,
    destination: word(instruction.destination),
    workdir: workingDirectory(draft),
    ...(chown !== undefined && { chown: word(chown) }),
    ...(chmod !== undefined && { chmod: word(chmod) }),
    link,
    unpack: unpacking(instruction),
    createdAt: link ? scope.linkedAt : scope.createdAt,
  }
  const inputs = from === undefined ? [draft.root] : [draft.root, await scope.findSource(from, span)]
  const vertex = scope.createVertex(definition, inputs, instruction.original, span, shellOf(draft, scope))
  return withHistory(draft, transferText(definition), vertex)
}

/** Semantics 76: an absolute path stays as it was written; only `/` makes no layer. */
export function applyWorkdir(
  draft: StageDraft,
  instruction: WorkdirInstruction,
  scope: StageScope,
): StageDraft {
  const { span } = instruction
  const { WorkingDir = '', User = '' } = draft.image.config.config
  const given = scope.expand.word(instruction.path, draft.env, span)
  const path = posix.isAbsolute(given) ? given : posix.resolve('/', WorkingDir, given)
  if (!posix.isAbsolute(given) && !draft.hasWorkdir)
    scope.warn({
      rule: 'WorkdirRelativePath',
      message: `WORKDIR ${given} depends on where the base image ends: an absolute path does not`,
      span,
    })
  const changed = withConfig({ ...draft, hasWorkdir: true }, { WorkingDir: path })
  if (path === '/') return withHistory(changed, `WORKDIR ${path}`)
  const definition = { kind: 'workdir', path, user: User, createdAt: scope.createdAt } as const
  const vertex = scope.createVertex(
    definition,
    [draft.root],
    instruction.original,
    span,
    shellOf(draft, scope),
  )
  return withHistory(changed, `WORKDIR ${path}`, vertex)
}

function expandSources(
  draft: StageDraft,
  instruction: CopyInstruction | AddInstruction,
  scope: StageScope,
): readonly CopySource[] {
  const { kind, span, sources, files } = instruction
  const checksum = expandChecksum(draft, instruction, scope)
  const paths = sources.map((source): CopySource => {
    const path = scope.expand.word(source, draft.env, span)
    if (isRemote(path)) {
      if (kind === 'add') {
        if (isGit(path)) throw unsupported('ADD from a Git repository', span)
        return { kind: 'url', url: path, ...(checksum !== undefined && { checksum }) }
      }
      if (/^https?:/.test(path))
        throw new BuildError('dockerfile-invalid', 'Cannot copy: a source of COPY must not be a URL', {
          span,
          hint: 'ADD takes URLs',
        })
    }
    return { kind: 'path', path }
  })
  if (checksum !== undefined && (paths.length !== 1 || paths[0]?.kind !== 'url'))
    throw invalid('Cannot check --checksum: ADD needs one URL as its only source', span)
  const heredocs = files.map(
    ({ name, content, expand }): CopySource => ({
      kind: 'heredoc',
      name,
      content: expand ? scope.expand.body(content, draft.env, span) : content,
    }),
  )
  return [...paths, ...heredocs]
}

function unpacking(instruction: CopyInstruction | AddInstruction): Unpacking {
  if (instruction.kind === 'copy' || instruction.unpack === false) return 'none'
  return instruction.unpack === undefined ? 'local' : 'all'
}

function refuseLaterFlags(instruction: CopyInstruction | AddInstruction): void {
  const { kind, span } = instruction
  if (kind === 'copy') return
  if (instruction.keepGitDir) throw unsupported('ADD --keep-git-dir', span)
}

function expandChecksum(
  draft: StageDraft,
  instruction: CopyInstruction | AddInstruction,
  scope: StageScope,
): Digest | undefined {
  if (instruction.kind === 'copy' || instruction.checksum === undefined) return undefined
  const text = scope.expand.word(instruction.checksum, draft.env, instruction.span)
  if (text === '' || isDigest(text)) return text === '' ? undefined : text
  throw invalid(
    `Cannot check --checksum ${JSON.stringify(text)}: it is not a digest`,
    instruction.span,
    'write --checksum=sha256:<64 hex digits>',
  )
}

/** As BuildKit tells them: a URL of http(s) whose path ends with `.git` is a repository. */
function isGit(source: string): boolean {
  return !/^https?:/.test(source) || /^[^?#]*\.git(?:[?#]|$)/.test(source)
}

function isRemote(source: string): boolean {
  return /^(https?|git|ssh):\/\//.test(source) || /^git@[^/]+:/.test(source)
}

function unsupported(feature: string, span: SourceSpan): BuildError {
  return new BuildError('dockerfile-invalid', `Cannot plan ${feature}: it is not supported yet`, { span })
}
