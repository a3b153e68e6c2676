/** Instructions that change the image config only (semantics 73-80). */
import type { Healthcheck } from '../../oci/config.ts'
import type { Command, HealthcheckInstruction, Instruction, KeyValue } from '../dockerfile/instructions.ts'
import { invalid } from '../dockerfile/invalid.ts'
import { lintPorts, parsePorts } from '../dockerfile/ports.ts'
import { checkSignal } from '../dockerfile/signal.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { commandText, healthcheckText, listText, pairsText } from './history.ts'
import { lintCommand, lintSecrets } from './lint-stage.ts'
import { type StageDraft, setEnv, withConfig, withHistory, withoutConfig } from './stage-draft.ts'
import type { StageScope } from './stage-scope.ts'

type MetadataInstruction = Exclude<Instruction, { kind: 'run' | 'copy' | 'add' | 'workdir' }>

export function applyMetadata(
  draft: StageDraft,
  instruction: MetadataInstruction,
  scope: StageScope,
): StageDraft {
  const { span } = instruction
  const word = (text: string): string => scope.expand.word(text, draft, span)
  switch (instruction.kind) {
    case 'arg':
      return applyArg(draft, instruction.args, scope, span)
    case 'env':
      return applyEnv(draft, expandPairs(instruction.pairs, word), scope, span)
    case 'label':
      return applyLabel(draft, expandPairs(instruction.pairs, word))
    case 'maintainer':
      return applyMaintainer(draft, instruction.name)
    case 'user': {
      const User = word(instruction.user)
      return withHistory(withConfig(draft, { User }), `USER ${User}`)
    }
    case 'expose':
      return applyExpose(draft, instruction.ports, scope, span)
    case 'volume':
      return applyVolume(draft, instruction.paths.map(word), span)
    case 'shell':
      return withHistory(withConfig(draft, { Shell: instruction.args }), listText('SHELL', instruction.args))
    case 'cmd':
      return applyCmd(draft, instruction.command, scope, span)
    case 'entrypoint':
      return applyEntrypoint(draft, instruction.command, scope, span)
    case 'stopsignal': {
      const StopSignal = word(instruction.signal)
      checkSignal(StopSignal, span)
      return withHistory(withConfig(draft, { StopSignal }), `STOPSIGNAL ${StopSignal}`)
    }
    case 'healthcheck':
      return applyHealthcheck(draft, instruction)
    case 'onbuild': {
      const triggers = draft.image.config.config.OnBuild ?? []
      return withConfig(draft, { OnBuild: [...triggers, instruction.expression] })
    }
  }
}

/** What runs: exec form as it is, shell form through the shell in force at this line (semantics 74). */
export function commandArgs(draft: StageDraft, command: Command): readonly string[] {
  if (command.form === 'exec') return command.args
  const { Shell = [] } = draft.image.config.config
  return [...(Shell.length === 0 ? ['/bin/sh', '-c'] : Shell), command.script]
}

/** Semantics 20-26: a build arg wins, then the default, then the ARG of the same name before the first FROM. */
function applyArg(
  draft: StageDraft,
  args: readonly { readonly key: string; readonly value?: string }[],
  scope: StageScope,
  span: SourceSpan,
): StageDraft {
  const env = new Map(draft.env)
  const texts: string[] = []
  const names: string[] = []
  for (const { key, value: fallback } of args) {
    scope.consumed.add(key)
    const value =
      scope.buildArgs.get(key) ??
      (fallback === undefined
        ? scope.globals.values.get(key)
        : scope.expand.word(fallback, { env, args: [...draft.args, ...names] }, span))
    if (value !== undefined) env.set(key, value)
    names.push(key)
    texts.push(value === undefined ? key : `${key}=${value}`)
  }
  for (const warning of lintSecrets('arg', names, span)) scope.warn(warning)
  return withHistory({ ...draft, env, args: [...draft.args, ...names] }, `ARG ${texts.join(' ')}`)
}

function applyEnv(draft: StageDraft, pairs: Pairs, scope: StageScope, span: SourceSpan): StageDraft {
  const names = pairs.map(([name]) => name)
  for (const warning of lintSecrets('env', names, span)) scope.warn(warning)
  const env = new Map(draft.env)
  let list = draft.image.config.config.Env ?? []
  for (const [name, value] of pairs) {
    env.set(name, value)
    list = setEnv(list, name, value)
  }
  return withHistory({ ...withConfig(draft, { Env: list }), env }, pairsText('ENV', pairs))
}

function applyLabel(draft: StageDraft, pairs: Pairs): StageDraft {
  const Labels = { ...draft.image.config.config.Labels, ...Object.fromEntries(pairs) }
  return withHistory(withConfig(draft, { Labels }), pairsText('LABEL', pairs))
}

function applyMaintainer(draft: StageDraft, author: string): StageDraft {
  const { image } = draft
  const authored = { ...draft, image: { ...image, config: { ...image.config, author } } }
  return withHistory(authored, `MAINTAINER ${author}`)
}

function applyExpose(
  draft: StageDraft,
  given: readonly string[],
  scope: StageScope,
  span: SourceSpan,
): StageDraft {
  const words = given.flatMap(port => scope.expand.words(port, draft, span))
  for (const warning of lintPorts(words, span)) scope.warn(warning)
  const ports = parsePorts(words, span)
  const ExposedPorts = sorted({ ...draft.image.config.config.ExposedPorts, ...keySet(ports) })
  return withHistory(withConfig(draft, { ExposedPorts }), listText('EXPOSE', ports))
}

function applyVolume(draft: StageDraft, paths: readonly string[], span: SourceSpan): StageDraft {
  if (paths.includes('')) throw invalid('Cannot declare a volume: its path is empty', span)
  const Volumes = sorted({ ...draft.image.config.config.Volumes, ...keySet(paths) })
  return withHistory(withConfig(draft, { Volumes }), listText('VOLUME', paths))
}

function applyCmd(draft: StageDraft, command: Command, scope: StageScope, span: SourceSpan): StageDraft {
  for (const warning of lintCommand(draft, 'CMD', command, span)) scope.warn(warning)
  const Cmd = commandArgs(draft, command)
  const changed = withConfig({ ...draft, hasCmd: true }, { Cmd, ArgsEscaped: true })
  return withHistory(changed, commandText('CMD', Cmd))
}

function applyEntrypoint(
  draft: StageDraft,
  command: Command,
  scope: StageScope,
  span: SourceSpan,
): StageDraft {
  for (const warning of lintCommand(draft, 'ENTRYPOINT', command, span)) scope.warn(warning)
  const Entrypoint = commandArgs(draft, command)
  const changed = withConfig(draft.hasCmd ? draft : withoutConfig(draft, 'Cmd'), { Entrypoint })
  return withHistory(changed, commandText('ENTRYPOINT', Entrypoint))
}

function applyHealthcheck(
  draft: StageDraft,
  { test, interval, timeout, startPeriod, startInterval, retries }: HealthcheckInstruction,
): StageDraft {
  const Healthcheck: Healthcheck = {
    Test: test,
    ...(interval && { Interval: interval }),
    ...(timeout && { Timeout: timeout }),
    ...(startPeriod && { StartPeriod: startPeriod }),
    ...(startInterval && { StartInterval: startInterval }),
    ...(retries && { Retries: retries }),
  }
  return withHistory(withConfig(draft, { Healthcheck }), healthcheckText(Healthcheck))
}

type Pairs = readonly (readonly [key: string, value: string])[]

function expandPairs(pairs: readonly KeyValue[], word: (text: string) => string): Pairs {
  return pairs.map(({ key, value }) => [word(key), word(value)] as const)
}

function keySet(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map(name => [name, {}]))
}

function sorted(set: Readonly<Record<string, object>>): Record<string, object> {
  return Object.fromEntries(Object.entries(set).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
