/** Instructions that make a layer: RUN, COPY, ADD, WORKDIR. */
import { posix } from 'node:path'
import { isDigest } from '../../oci/digest.ts'
import type {
  AddInstruction,
  CopyInstruction,
  RunInstruction,
  WorkdirInstruction,
} from '../dockerfile/instructions.ts'
import { invalid } from '../dockerfile/invalid.ts'
import { maskCredentials, parseGitReference } from '../fetch/git-reference.ts'
import type { CopySource, Unpacking } from '../ops/copy-spec.ts'
import { proxyEnv } from './arguments.ts'
import { requireEntitlements } from './entitlements.ts'
import { runText, transferText } from './history.ts'
import { lintSources } from './lint-stage.ts'
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
  requireEntitlements(instruction, scope.allow)
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
    // "default" is that of the build, as in BuildKit: who gives --network=none to a stranger's Dockerfile means it.
    network: network === undefined || network === 'default' ? scope.network : network,
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
  const { kind, span, chown } = instruction
  const word = (text: string): string => scope.expand.word(text, draft, span)
  const chmod = instruction.chmod === undefined ? '' : word(instruction.chmod)
  // Semantics 46: --chmod wins.
  const link = instruction.link && chmod === ''
  const named = kind === 'copy' ? instruction.from : undefined
  const context = named === undefined ? undefined : scope.findDirectory(named)
  const from = context === undefined ? named : undefined
  const definition: TransferDefinition = {
    kind,
    from: from === undefined ? 'context' : 'stage',
    ...(context !== undefined && { context }),
    sources: expandSources(draft, instruction, scope),
    exclude: instruction.exclude,
    parents: instruction.kind === 'copy' && instruction.parents,
    destination: word(instruction.destination),
    workdir: workingDirectory(draft),
    ...(chown !== undefined && { chown: word(chown) }),
    ...(chmod !== '' && { chmod }),
    link,
    unpack: unpacking(instruction),
    createdAt: link ? scope.linkedAt : scope.createdAt,
  }
  const inputs = from === undefined ? [draft.root] : [draft.root, await scope.findSource(from, span)]
  const title = maskCredentials(instruction.original)
  const vertex = scope.createVertex(definition, inputs, title, span, shellOf(draft, scope))
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
  const given = scope.expand.word(instruction.path, draft, span)
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
  const keepGitDir = kind === 'add' ? instruction.keepGitDir : undefined
  const isAlone = sources.length === 1 && files.length === 0
  const paths = sources.map(source => {
    const text = scope.expand.word(source, draft, span)
    const remote = remoteSource(text, { checksum: isAlone ? checksum : '', keepGitDir })
    if (remote === undefined) return { kind: 'path', path: text } as const
    if (kind === 'add') return remote
    throw invalid(
      `Cannot copy: a source of COPY must not be a ${remote.kind === 'git' ? 'Git repository' : 'URL'}`,
      span,
      'ADD takes it',
    )
  })
  if (checksum !== '' && (!isAlone || paths[0]?.kind === 'path'))
    throw invalid('Cannot check --checksum: ADD needs one URL or Git repository as its only source', span)
  const isOfContext = kind === 'add' || instruction.from === undefined
  const { ignored } = scope
  if (ignored !== undefined && isOfContext) {
    const names = paths.flatMap(path => (path.kind === 'path' ? [path.path] : []))
    for (const warning of lintSources(names, instruction, ignored)) scope.warn(warning)
  }
  const heredocs = files.map(
    ({ name, content, expand }): CopySource => ({
      kind: 'heredoc',
      name,
      content: expand ? scope.expand.body(content, draft, span) : content,
    }),
  )
  return [...paths, ...heredocs]
}

function unpacking(instruction: CopyInstruction | AddInstruction): Unpacking {
  if (instruction.kind === 'copy' || instruction.unpack === false) return 'none'
  return instruction.unpack === undefined ? 'local' : 'all'
}

function expandChecksum(
  draft: StageDraft,
  instruction: CopyInstruction | AddInstruction,
  scope: StageScope,
): string {
  if (instruction.kind === 'copy') return ''
  return scope.expand.word(instruction.checksum ?? '', draft, instruction.span)
}

interface RemoteFlags {
  readonly checksum: string
  readonly keepGitDir: boolean | undefined
}

function remoteSource(text: string, { checksum, keepGitDir }: RemoteFlags): CopySource | undefined {
  const reference = parseGitReference(text)
  if (reference !== undefined) {
    const said = reference.checksum
    if (checksum !== '' && said !== undefined && said !== checksum)
      throw invalid(`Cannot check --checksum ${checksum}: the URL says ${said}`, undefined)
    return {
      kind: 'git',
      text,
      reference: {
        ...reference,
        keepGitDir: keepGitDir ?? reference.keepGitDir,
        ...(checksum !== '' && { checksum }),
      },
    }
  }
  if (!/^https?:\/\//i.test(text)) return undefined
  if (checksum === '') return { kind: 'url', url: text }
  if (isDigest(checksum)) return { kind: 'url', url: text, checksum }
  throw invalid(
    `Cannot check --checksum ${JSON.stringify(checksum)}: it is not a digest`,
    undefined,
    'write --checksum=sha256:<64 hex digits>',
  )
}
