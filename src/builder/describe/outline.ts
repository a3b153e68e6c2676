/**
 * What can be given to the build of a target: the ARGs, secrets and SSH agents of its stage and of all stages that it
 * needs. Told from the Dockerfile alone: no registry is asked.
 */
import type { Platform } from '../../oci/platform.ts'
import { parseCsvRecord } from '../dockerfile/csv.ts'
import { describedAbove } from '../dockerfile/doc-comments.ts'
import { expandWord } from '../dockerfile/expand.ts'
import type { ArgInstruction, Dockerfile, Instruction, Stage } from '../dockerfile/instructions.ts'
import { parseRunMount, type RunMount } from '../dockerfile/run-mount.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { platformArguments } from '../plan/arguments.ts'
import { findBaseStage, findSourceStage, findTarget } from '../plan/stages.ts'

export interface OutlineOptions {
  readonly target?: string
  readonly buildArgs: ReadonlyMap<string, string>
  readonly platform: Platform
  readonly hostPlatform: Platform
}

export interface Outline {
  /** Of the target. */
  readonly name?: string
  readonly description?: string
  /** All in the order of the Dockerfile. */
  readonly args: readonly OutlineArg[]
  readonly secrets: readonly OutlineMount[]
  readonly ssh: readonly OutlineMount[]
}

export interface OutlineArg {
  readonly name: string
  readonly description?: string
  /** What a build would use: that of the command line, else the default. */
  readonly value?: string
  readonly span: SourceSpan
}

export interface OutlineMount {
  readonly id: string
  readonly required: boolean
  readonly span: SourceSpan
}

/** @throws BuildError `target-unknown`, `dockerfile-invalid` */
export function describeOutline(dockerfile: Dockerfile, options: OutlineOptions): Outline {
  const stage = findTarget(dockerfile, options.target)
  const walk = createWalk(dockerfile, options)
  for (const needed of walk.needs(stage)) walk.visit(needed)
  const description = stage.name === undefined ? undefined : describedAbove(stage.span, stage.name)
  return {
    ...(stage.name !== undefined && { name: stage.name }),
    ...(description !== undefined && { description }),
    args: inOrder(walk.args),
    secrets: inOrder(walk.secrets),
    ssh: inOrder(walk.ssh),
  }
}

type Values = ReadonlyMap<string, string>

/** @param uses takes the names that are looked up */
type Expand = (word: string, env: Values, span: SourceSpan, uses?: Set<string>) => string

function createWalk(dockerfile: Dockerfile, { buildArgs, platform, hostPlatform, target }: OutlineOptions) {
  const { directives } = dockerfile
  const args = new Map<string, OutlineArg>()
  const secrets = new Map<string, OutlineMount>()
  const ssh = new Map<string, OutlineMount>()
  const values = new Map(platformArguments(hostPlatform, platform, target))
  /** Variables at the end of a stage. */
  const ends = new Map<Stage, Values>()

  const expand: Expand = (word, env, span, uses) =>
    expandWord(word, uses === undefined ? env : recording(env, uses), { escape: directives.escape, span })
      .value

  const globals = readGlobals(dockerfile, buildArgs, values, expand)
  const useGlobals = (names: Iterable<string>): void => {
    for (const name of names) {
      const found = globals.get(name)
      if (found === undefined || args.has(name)) continue
      args.set(name, found.arg)
      useGlobals(found.uses)
    }
  }

  const baseOf = (stage: Stage, uses?: Set<string>): string => expand(stage.base, values, stage.span, uses)

  function visit(stage: Stage): void {
    const uses = new Set<string>()
    const base = baseOf(stage, uses)
    if (stage.platform !== undefined) expand(stage.platform, values, stage.span, uses)
    useGlobals(uses)
    const parent = findBaseStage(dockerfile, stage, base)
    const env = new Map(parent === undefined ? [] : ends.get(parent))
    for (const instruction of stage.instructions) apply(instruction, env)
    ends.set(stage, env)
  }

  function apply(instruction: Instruction, env: Map<string, string>): void {
    const { kind, span } = instruction
    if (kind === 'arg') declare(instruction, env)
    if (kind === 'env')
      for (const { key, value } of instruction.pairs)
        env.set(expand(key, env, span), expand(value, env, span))
    if (kind !== 'run') return
    for (const text of instruction.mounts)
      addMount(
        { secret: secrets, ssh },
        parseRunMount(text, value => expand(value, env, span), span),
        span,
      )
  }

  function declare(instruction: ArgInstruction, env: Map<string, string>): void {
    for (const { name, given, span } of declared(instruction)) {
      const global = given === undefined ? globals.get(name) : undefined
      const value = buildArgs.get(name) ?? (given === undefined ? values.get(name) : expand(given, env, span))
      if (value !== undefined) env.set(name, value)
      if (global !== undefined) useGlobals([name])
      else if (given !== undefined || !values.has(name)) args.set(name, argument(name, value, span))
    }
  }

  const needs = (target: Stage): readonly Stage[] => stagesNeeded(dockerfile, target, baseOf)
  return { args, secrets, ssh, needs, visit }
}

/** ARGs before the first FROM, each with those its default names. They are told of when a stage uses them. */
type Globals = ReadonlyMap<string, { readonly arg: OutlineArg; readonly uses: ReadonlySet<string> }>

/** @param values of the platforms, to which those of the ARGs are added */
function readGlobals(
  { metaArgs }: Dockerfile,
  buildArgs: Values,
  values: Map<string, string>,
  expand: Expand,
): Globals {
  const globals = new Map<string, { readonly arg: OutlineArg; readonly uses: ReadonlySet<string> }>()
  for (const { name, given, span } of metaArgs.flatMap(declared)) {
    const uses = new Set<string>()
    const value = buildArgs.get(name) ?? (given && expand(given, values, span, uses))
    if (value !== undefined) values.set(name, value)
    globals.set(name, { arg: argument(name, value, span), uses })
  }
  return globals
}

/** The stage and all that it needs, directly or not, in the order of the Dockerfile: what is needed comes first. */
function stagesNeeded(
  dockerfile: Dockerfile,
  target: Stage,
  baseOf: (stage: Stage) => string,
): readonly Stage[] {
  const found = new Set([target])
  for (const stage of found) {
    const parent = findBaseStage(dockerfile, stage, baseOf(stage))
    const sources = stage.instructions.flatMap(instruction =>
      sourceWords(instruction).map(word => findSourceStage(dockerfile, stage, word, instruction.span)),
    )
    for (const needed of [parent, ...sources]) if (needed !== undefined) found.add(needed)
  }
  return [...found].toSorted((a, b) => a.index - b.index)
}

function addMount(
  found: Readonly<Record<'secret' | 'ssh', Map<string, OutlineMount>>>,
  { type, id: given, target, required }: RunMount,
  span: SourceSpan,
): void {
  if (type !== 'secret' && type !== 'ssh') return
  const id = given ?? (type === 'ssh' ? 'default' : (target?.split('/').at(-1) ?? ''))
  const earlier = found[type].get(id)
  const isRequired = required || earlier?.required === true
  found[type].set(id, { id, required: isRequired, span: earlier?.span ?? span })
}

/** What `--from` and `from=` name. */
function sourceWords(instruction: Instruction): readonly string[] {
  if (instruction.kind === 'copy') return instruction.from === undefined ? [] : [instruction.from]
  if (instruction.kind !== 'run') return []
  return instruction.mounts.flatMap(text =>
    (parseCsvRecord(text) ?? []).filter(field => field.startsWith('from=')).map(field => field.slice(5)),
  )
}

function declared({ args, span }: ArgInstruction) {
  return args.map(({ key, value: given }) => ({ name: key, given, span }))
}

function argument(name: string, value: string | undefined, span: SourceSpan): OutlineArg {
  const description = describedAbove(span, name)
  return {
    name,
    ...(description !== undefined && { description }),
    ...(value !== undefined && { value }),
    span,
  }
}

/** Notes every name that is looked up. */
function recording(env: Values, names: Set<string>): Values {
  const copy = new Map(env)
  const get = copy.get.bind(copy)
  copy.get = name => {
    names.add(name)
    return get(name)
  }
  return copy
}

function inOrder<T extends { readonly span: SourceSpan }>(found: ReadonlyMap<string, T>): readonly T[] {
  return [...found.values()].toSorted((a, b) => a.span.startLine - b.span.startLine)
}
