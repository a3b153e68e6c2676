/** BuildKit's lint rules about FROM lines and the ARGs that they use. */
import { expandWord } from '../dockerfile/expand.ts'
import type { Dockerfile, Stage, Warning } from '../dockerfile/instructions.ts'
import { suggest } from '../dockerfile/suggest.ts'

export function lintBases(
  dockerfile: Dockerfile,
  buildArgs: ReadonlyMap<string, string>,
  platformValues: ReadonlyMap<string, string>,
): readonly Warning[] {
  const { directives } = dockerfile
  const declared = new Set(platformValues.keys())
  const defaults = new Map(platformValues)
  for (const { args, span } of dockerfile.metaArgs) {
    for (const { key, value } of args) {
      declared.add(key)
      if (value !== undefined)
        defaults.set(key, expandWord(value, defaults, { escape: directives.escape, span }).value)
    }
  }
  return dockerfile.stages.flatMap(stage => {
    const { base, span } = stage
    const { value, unset } = expandWord(base, defaults, { escape: directives.escape, span })
    const undeclared = unset.filter(name => !declared.has(name) && !buildArgs.has(name))
    const found = undeclared.map((name): Warning => {
      const nearest = suggest(name, [...declared])
      const hint = nearest === undefined ? '' : ` (did you mean ${nearest}?)`
      return {
        rule: 'UndefinedArgInFrom',
        message: `No ARG before the first FROM declares ${name}${hint}`,
        span,
      }
    })
    if (unset.length > 0 && undeclared.length === 0 && isBroken(value)) {
      const message = `With the defaults of its ARGs, ${base} is no image name`
      found.push({ rule: 'InvalidDefaultArgInFrom', message, span })
    }
    return [...found, ...lintPlatform(stage)]
  })
}

/** Without the values that only the command line gives. */
function isBroken(name: string): boolean {
  return name === '' || /^[:@/]|[:@/]$|[:/@]{2}/.test(name)
}

function lintPlatform({ platform, span }: Stage): readonly Warning[] {
  if (platform === undefined) return []
  if (/^\$(TARGETPLATFORM|\{TARGETPLATFORM\})$/.test(platform)) {
    const message = `--platform=${platform} says what holds without it`
    return [{ rule: 'RedundantTargetPlatform', message, span }]
  }
  if (platform.includes('$')) return []
  const message = `--platform=${platform} binds the stage to one platform, whatever the build is for`
  return [{ rule: 'FromPlatformFlagConstDisallowed', message, span }]
}
