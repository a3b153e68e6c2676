import type { IgnoreRules } from '../context/ignore.ts'
import type { Warning } from '../dockerfile/instructions.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { NetworkMode } from '../exec/executor.ts'
import type { ShellDefinition, Vertex } from '../solve/vertex.ts'
import type { GlobalArguments } from './arguments.ts'
import type { Entitlement } from './entitlements.ts'
import type { OpDefinition } from './op-definition.ts'
import type { StageExpand } from './words.ts'

/** What the instructions of one stage are planned with. */
export interface StageScope {
  readonly expand: StageExpand
  readonly buildArgs: ReadonlyMap<string, string>
  readonly globals: GlobalArguments
  /** Names of ARGs seen so far, in any stage. */
  readonly consumed: Set<string>
  readonly network: NetworkMode
  readonly hostname: string
  /** `name:address` */
  readonly extraHosts: readonly string[]
  /** `linux/amd64` */
  readonly platform: string
  /** What RUN may ask for. */
  readonly allow: ReadonlySet<Entitlement>
  /** Time of what no source gives a time to, in seconds since the epoch. */
  readonly createdAt: number
  /** The same in layers that do not depend on the base. */
  readonly linkedAt: number
  /** What the build context leaves out, where there is to be a warning of copying it. */
  readonly ignored: IgnoreRules | undefined
  warn(warning: Warning): void
  /** The root filesystem that `--from` names. */
  findSource(word: string, span: SourceSpan): Promise<Vertex>
  /** The name of the directory of `--build-context` that `--from` names, where it names one. */
  findDirectory(word: string): string | undefined
  /** @param title `RUN make`; the vertex's name puts the stage before it */
  createVertex(
    definition: OpDefinition,
    inputs: readonly Vertex[],
    title: string,
    span: SourceSpan,
    shell: ShellDefinition,
  ): Vertex
}
