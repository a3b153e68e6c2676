/** Instructions that change the image config only (semantics 73-80). */
import type { Healthcheck } from '../../oci/config.ts'
import type { Command, Instruction, KeyValue } from '../dockerfile/instructions.ts'
import { invalid } from '../dockerfile/invalid.ts'
import { lintPorts, parsePorts } from '../dockerfile/ports.ts'
import { checkSignal } from '../dockerfile/signal.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { commandText, healthcheckText, listText, pairsText } from './history.ts'
import { lintCommand, lintSecrets } from './lint-stage.ts'
import { type StageDraft, setEnv, withConfig, withHistory, withoutConfig } from './stage-draft.ts'
import type { StageScope } from './stage-scope.ts'

export type MetadataInstruction = Exclude<Instruction, { kind: 'run' | 'copy' | 'add' | 'workdir' }>

export function applyMetadata(
  draft: StageDraft,
  instruction: MetadataInstruction,
  scope: StageScope,
): StageDraft {
  const { span } = instruction
  const word = (text: string): string => scope.expand.word(text, draft, span)
  const { config } = draft.image.config
  switch (instruction.kind) {
    case 'arg':
      return applyArg(draft, instruction.args, scope, span)
    case 'env': {
      const pairs = expandPairs(instruction.pairs, word)
      const secrets = lintSecrets(
        'env',
        pairs.map(([name]) => name),
        span,
      )
      for (const warning of secrets) scope.warn(warning)
      const env = new Map(draft.env)
      let list = config.Env ?? []
      for (const [name, value] of pairs) {
        env.set(name, value)
        list = setEnv(list, name, value)
      }
      return withHistory({ ...withConfig(draft, { Env: list }), env }, pairsText('ENV', pairs))
    }
    case 'label': {
      const pairs = expandPairs(instruction.pairs, word)
      const Labels = { ...config.Labels, ...Object.fromEntries(pairs) }
      return withHistory(withConfig(draft, { Labels }), pairsText('LABEL', pairs))
    }
    case 'maintainer': {
      const { image } = draft
      const authored = {
        ...draft,
        image: { ...image, config: { ...image.config, author: instruction.name } },
      }
      return withHistory(authored, `MAINTAINER ${instruction.name}`)
    }
    case 'user': {
      const User = word(instruction.user)
      return withHistory(withConfig(draft, { User }), `USER ${User}`)
    }
    case 'expose': {
      const words = instruction.ports.flatMap(port => scope.expand.words(port, draft, span))
      for (const warning of lintPorts(words, span)) scope.warn(warning)
      const ports = parsePorts(words, span)
      const ExposedPorts = sorted({ ...config.ExposedPorts, ...keySet(ports) })
      return withHistory(withConfig(draft, { ExposedPorts }), listText('EXPOSE', ports))
    }
    case 'volume': {
      const paths = instruction.paths.map(word)
      if (paths.includes('')) throw invalid('Cannot declare a volume: its path is empty', span)
      const Volumes = sorted({ ...config.Volumes, ...keySet(paths) })
      return withHistory(withConfig(draft, { Volumes }), listText('VOLUME', paths))
    }
    case 'shell':
      return withHistory(withConfig(draft, { Shell: instruction.args }), listText('SHELL', instruction.args))
    case 'cmd': {
      for (const warning of lintCommand(draft, 'CMD', instruction.command, span)) scope.warn(warning)
      const Cmd = commandArgs(draft, instruction.command)
      const changed = withConfig({ ...draft, hasCmd: true }, { Cmd, ArgsEscaped: true })
      return withHistory(changed, commandText('CMD', Cmd))
    }
    case 'entrypoint': {
      for (const warning of lintCommand(draft, 'ENTRYPOINT', instruction.command, span)) scope.warn(warning)
      const Entrypoint = commandArgs(draft, instruction.command)
      const changed = withConfig(draft.hasCmd ? draft : withoutConfig(draft, 'Cmd'), { Entrypoint })
      return withHistory(changed, commandText('ENTRYPOINT', Entrypoint))
    }
    case 'stopsignal': {
      const StopSignal = word(instruction.signal)
      checkSignal(StopSignal, span)
      return withHistory(withConfig(draft, { StopSignal }), `STOPSIGNAL ${StopSignal}`)
    }
    case 'healthcheck': {
      const { test, interval, timeout, startPeriod, startInterval, retries } = instruction
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
    case 'onbuild':
      return withConfig(draft, { OnBuild: [...(config.OnBuild ?? []), instruction.expression] })
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

function expandPairs(
  pairs: readonly KeyValue[],
  word: (text: string) => string,
): readonly (readonly [string, string])[] {
  return pairs.map(({ key, value }) => [word(key), word(value)] as const)
}

function keySet(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map(name => [name, {}]))
}

function sorted(set: Readonly<Record<string, object>>): Record<string, object> {
  return Object.fromEntries(Object.entries(set).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
