import assert from 'node:assert/strict'
import type { Dockerfile, Instruction } from '../../../../src/builder/dockerfile/instructions.ts'
import { parseDockerfile } from '../../../../src/builder/dockerfile/parse.ts'
import { BuildError } from '../../../../src/builder/errors.ts'

export function parse(text: string): Dockerfile {
  return parseDockerfile({ name: 'Dockerfile', text })
}

/** The instructions of the last stage. */
export function instructionsOf(text: string): readonly Instruction[] {
  return parse(text).stages.at(-1)?.instructions ?? []
}

/** Instructions after a FROM, without their places. */
export function bare(text: string): readonly object[] {
  return instructionsOf(`FROM scratch\n${text}`).map(({ span: _span, original: _original, ...rest }) => rest)
}

export function failureOf(run: () => unknown): BuildError {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof BuildError, `not a BuildError: ${error}`)
    assert.equal(error.code, 'dockerfile-invalid')
    return error
  }
  return assert.fail('it was accepted')
}
