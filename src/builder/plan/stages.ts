/** Which stage a word means (semantics 16, 17, 111). */
import type { Dockerfile, Stage } from '../dockerfile/instructions.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { suggest } from '../dockerfile/suggest.ts'
import { BuildError } from '../errors.ts'

/** The stage that `FROM word` builds on: the last earlier one of that name. */
export function findBaseStage(dockerfile: Dockerfile, stage: Stage, word: string): Stage | undefined {
  return earlier(dockerfile, stage).findLast(({ name }) => name === word)
}

/**
 * The stage that `--from=word` reads; undefined when the word names an image.
 * @throws BuildError for an index that is not there, and for a stage that is not built yet
 */
export function findSourceStage(
  dockerfile: Dockerfile,
  stage: Stage,
  word: string,
  span: SourceSpan,
): Stage | undefined {
  const found = byNameOrIndex(earlier(dockerfile, stage), word)
  if (found !== undefined) return found
  const other = byNameOrIndex(dockerfile.stages, word)
  if (other !== undefined) {
    const problem = other === stage ? 'it is this very stage' : 'it comes later in the Dockerfile'
    throw new BuildError(
      'dockerfile-invalid',
      `Cannot take files from stage ${JSON.stringify(word)}: ${problem}`,
      {
        span,
      },
    )
  }
  if (!/^-?\d+$/.test(word)) return undefined
  throw new BuildError(
    'dockerfile-invalid',
    `Cannot take files from stage ${word}: there are only ${dockerfile.stages.length}, counted from 0`,
    { span },
  )
}

/** The stage that a word of the command line means, a name or an index. */
export function findStage({ stages }: Dockerfile, word: string): Stage | undefined {
  return byNameOrIndex(stages, word)
}

/** The stage to build. @throws BuildError `target-unknown` with the nearest name */
export function findTarget(dockerfile: Dockerfile, target: string | undefined): Stage {
  const { stages, source } = dockerfile
  const found = target === undefined ? stages.at(-1) : byNameOrIndex(stages, target)
  if (found !== undefined) return found
  const nearest = suggest(target ?? '', stageNames(dockerfile))
  throw new BuildError(
    'target-unknown',
    `Cannot build target ${JSON.stringify(target)}: ${source.name} has no such stage`,
    nearest === undefined ? {} : { hint: `did you mean ${nearest}?` },
  )
}

export function stageNames(dockerfile: Dockerfile): readonly string[] {
  return dockerfile.stages.flatMap(({ name }) => (name === undefined ? [] : [name]))
}

function earlier(dockerfile: Dockerfile, stage: Stage): readonly Stage[] {
  return dockerfile.stages.slice(0, stage.index)
}

function byNameOrIndex(stages: readonly Stage[], word: string): Stage | undefined {
  const name = word.toLowerCase()
  return (
    stages.findLast(stage => stage.name === name) ??
    (/^\d{1,6}$/.test(word) ? stages.at(Number(word)) : undefined)
  )
}
