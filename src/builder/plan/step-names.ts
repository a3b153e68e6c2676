/** `[build 2/5] RUN make`: what people see of a step, as BuildKit names it. */
import { formatPlatform, type Platform } from '../../oci/platform.ts'
import type { Dockerfile, Instruction, Stage } from '../dockerfile/instructions.ts'
import { parseOnbuildTrigger } from '../dockerfile/onbuild.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { PlanOptions } from './plan-options.ts'

/** A step among those of its stage, counted from 1. */
export interface StepPlace {
  readonly stage: Stage
  readonly platform: Platform
  readonly step: number
  readonly total: number
}

export function createStepNames(
  { stages }: Dockerfile,
  { namesPlatform = false }: PlanOptions,
): (place: StepPlace, title: string) => string {
  return ({ stage, platform, step, total }, title) => {
    const name = stages.length === 1 ? '' : `${stage.name ?? `stage-${stage.index}`} `
    const label = namesPlatform ? `${formatPlatform(platform)} ${name}` : name
    return `[${label}${step}/${total}] ${title.replaceAll(/\s*\n\s*/g, ' ')}`
  }
}

/** Instructions that make a layer. */
export function countSteps(instructions: readonly Instruction[]): number {
  return instructions.filter(({ kind }) => ['run', 'copy', 'add', 'workdir'].includes(kind)).length
}

/** @param triggers of ONBUILD, in the base image @param span of the FROM that sets them off */
export function countTriggers(triggers: readonly string[], span: SourceSpan): number {
  return countSteps(triggers.map(text => parseOnbuildTrigger(text, span)))
}
