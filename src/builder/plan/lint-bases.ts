/** BuildKit's lint rules about FROM lines and the ARGs that they use. */
import { OciError } from '../../oci/errors.ts'
import { type Platform, parsePlatform } from '../../oci/platform.ts'
import { parseReference } from '../../oci/reference.ts'
import type { Dockerfile, Stage, Warning } from '../dockerfile/instructions.ts'
import { suggest } from '../dockerfile/suggest.ts'
import type { Environment } from '../dockerfile/word-reader.ts'
import { type GlobalArguments, globalArguments } from './arguments.ts'
import type { Expand } from './words.ts'

export interface LintBasesOptions {
  readonly globals: GlobalArguments
  readonly platformValues: ReadonlyMap<string, string>
  readonly hostPlatform: Platform
  readonly expand: Expand
}

/** All stages are looked at, also those that nothing needs. */
export function lintBases(dockerfile: Dockerfile, options: LintBasesOptions): readonly Warning[] {
  const { expand, platformValues } = options
  const defaults = globalArguments(dockerfile, new Map(), platformValues, expand)
  return dockerfile.stages.flatMap(stage => [
    ...lintDefault(stage, defaults, expand),
    ...lintNames(stage, stage.base, options),
    ...(stage.platform === undefined
      ? []
      : [...lintNames(stage, stage.platform, options), ...lintPlatform(stage, stage.platform, options)]),
  ])
}

function lintNames(
  { span }: Stage,
  word: string,
  { expand, globals, platformValues }: LintBasesOptions,
): readonly Warning[] {
  const declared = [...platformValues.keys(), ...globals.declared]
  const unset: string[] = []
  expand.word(word, globals.values, span, name => unset.push(name))
  return unset
    .filter(name => !declared.includes(name))
    .map(name => {
      const nearest = suggest(name, declared)
      const hint = nearest === undefined ? '' : ` (did you mean ${nearest}?)`
      const message = `No ARG before the first FROM declares ${name}${hint}`
      return { rule: 'UndefinedArgInFrom', message, span }
    })
}

/** What the name would be if the command line gave nothing. */
function lintDefault({ base, span }: Stage, defaults: GlobalArguments, expand: Expand): readonly Warning[] {
  const name = expand.word(base, defaults.values, span)
  if (readOrNothing('reference-invalid', () => parseReference(name)) !== undefined) return []
  const message = `With the defaults of its ARGs, ${base} is no image name`
  return [{ rule: 'InvalidDefaultArgInFrom', message, span }]
}

function lintPlatform(
  stage: Stage,
  text: string,
  { expand, globals, hostPlatform }: LintBasesOptions,
): readonly Warning[] {
  const { span } = stage
  const used = new Set<string>()
  const values: Environment = {
    get(name) {
      used.add(name)
      return globals.values.get(name)
    },
  }
  const value = expand.word(text, values, span)
  if (used.size === 0) return lintConstant(stage, value, hostPlatform)
  const target = globals.values.get('TARGETPLATFORM')
  if (used.size > 1 || !used.has('TARGETPLATFORM') || value !== target) return []
  const message = `--platform=${text} says what holds without it`
  return [{ rule: 'RedundantTargetPlatform', message, span }]
}

/** A stage that has the platform in its name is meant for that one. */
function lintConstant({ name = '', span }: Stage, text: string, hostPlatform: Platform): readonly Warning[] {
  const platform = readOrNothing('platform-invalid', () => parsePlatform(text, hostPlatform))
  if (platform === undefined || name.includes(platform.os) || name.includes(platform.architecture)) return []
  const message = `--platform=${text} binds the stage to one platform, whatever the build is for`
  return [{ rule: 'FromPlatformFlagConstDisallowed', message, span }]
}

/** What cannot be read is no matter of these rules. */
function readOrNothing<Value>(
  code: 'reference-invalid' | 'platform-invalid',
  read: () => Value,
): Value | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof OciError && error.code === code) return undefined
    throw error
  }
}
