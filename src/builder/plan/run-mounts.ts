/** `RUN --mount`: where each goes, and which root filesystem it takes its files from (semantics 66-68). */
import { posix } from 'node:path'
import type { RunInstruction } from '../dockerfile/instructions.ts'
import { invalid } from '../dockerfile/invalid.ts'
import { parseRunMount, type RunMount } from '../dockerfile/run-mount.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { Vertex } from '../solve/vertex.ts'
import { pathBelowRoot } from '../tree/walk.ts'
import type { MountDefinition, MountInput, SecretDefinition, SshDefinition } from './op-definition.ts'
import { type StageDraft, workingDirectory } from './stage-draft.ts'
import type { StageScope } from './stage-scope.ts'

export interface PlannedMounts {
  /** An outer target before what lies in it. */
  readonly mounts: readonly MountDefinition[]
  /** Inputs of RUN from the second on. */
  readonly sources: readonly Vertex[]
}

/** @throws BuildError `dockerfile-invalid`, or for a `from` that names nothing */
export async function planMounts(
  draft: StageDraft,
  { mounts, command, span }: RunInstruction,
  scope: StageScope,
): Promise<PlannedMounts> {
  const sources: Vertex[] = []
  const planned: MountDefinition[] = []
  if (command.form === 'file')
    planned.push({ kind: 'script', target: scriptPath(command.name), content: command.content })
  const expand = (text: string) => scope.expand.word(text, draft, span)

  async function inputOf(from: string, { source = '' }: RunMount): Promise<MountInput> {
    return { input: sources.push(await scope.findSource(from, span)), source: pathBelowRoot(source) }
  }

  async function bindOf(mount: RunMount, target: string): Promise<MountDefinition> {
    const { from, readOnly, source = '' } = mount
    const context = from === undefined ? undefined : scope.findDirectory(from)
    if (from !== undefined && context === undefined)
      return { kind: 'bind', target, readOnly, ...(await inputOf(from, mount)) }
    return {
      kind: 'context',
      target,
      readOnly,
      source: pathBelowRoot(source),
      ...(context !== undefined && { context }),
    }
  }

  async function cacheOf(mount: RunMount, target: string): Promise<MountDefinition> {
    const { readOnly, id = target, sharing = 'shared', mode, uid, gid } = mount
    if (mount.from === undefined && mount.source !== undefined)
      throw invalid('Cannot mount a cache with a source: say with "from" what it is a source in', span)
    return {
      kind: 'cache',
      target,
      readOnly,
      id: [scope.buildArgs.get('BUILDKIT_CACHE_MOUNT_NS') ?? '', posix.normalize(id)].join('/'),
      sharing,
      ...(mount.from !== undefined && { seed: await inputOf(mount.from, mount) }),
      ...(mode !== undefined && { mode }),
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
    }
  }

  for (const text of mounts) {
    const mount = parseRunMount(text, expand, span)
    const { readOnly, size } = mount
    const target = () => targetOf(mount, workingDirectory(draft), span)
    switch (mount.type) {
      case 'bind':
        planned.push(await bindOf(mount, target()))
        break
      case 'cache':
        planned.push(await cacheOf(mount, target()))
        break
      case 'secret':
        planned.push(secretOf(mount, workingDirectory(draft), span))
        break
      case 'tmpfs':
        planned.push({ kind: 'tmpfs', target: target(), readOnly, ...(size !== undefined && { size }) })
        break
      case 'ssh':
        planned.push(sshOf(mount, planned.filter(({ kind }) => kind === 'ssh').length, draft, span))
        break
    }
  }
  return {
    mounts: planned.toSorted((a, b) => Buffer.compare(Buffer.from(a.target), Buffer.from(b.target))),
    sources,
  }
}

/** Semantics 13: where a heredoc that is run as a program lies. */
export function scriptPath(name: string): string {
  return `/dev/pipes/${name}`
}

/** Semantics 67. */
function secretOf(mount: RunMount, workdir: string, span: SourceSpan): SecretDefinition {
  const { env, required, mode = 0o400, uid = 0, gid = 0, target } = mount
  const id = mount.source ?? mount.id ?? posix.basename(target ?? '')
  const path = target ?? `/run/secrets/${posix.basename(id)}`
  return {
    kind: 'secret',
    target: targetOf({ ...mount, target: path }, workdir, span),
    isFile: env === undefined || target !== undefined,
    ...(env !== undefined && { env }),
    id,
    required,
    mode,
    uid,
    gid,
  }
}

/** Semantics 67. The first of a step is the one that programs find, unless the step says otherwise. */
function sshOf(mount: RunMount, count: number, draft: StageDraft, span: SourceSpan): SshDefinition {
  const { id = 'default', required, mode = 0o600, uid = 0, gid = 0 } = mount
  const { target = `/run/buildkit/ssh_agent.${count}` } = mount
  return {
    kind: 'ssh',
    target: targetOf({ ...mount, target }, workingDirectory(draft), span),
    isDefault: count === 0 && !draft.env.has('SSH_AUTH_SOCK'),
    id,
    required,
    mode,
    uid,
    gid,
  }
}

/** Semantics 68: relative to the working directory; not the root itself. */
function targetOf({ target = '' }: RunMount, workdir: string, span: SourceSpan): string {
  const path = posix.resolve('/', workdir, target)
  if (path !== '/') return path
  throw target === ''
    ? invalid('Cannot mount: it needs a target', span, 'say with "target" where to')
    : invalid(`Cannot mount over ${JSON.stringify(target)}: that is the root directory`, span)
}
