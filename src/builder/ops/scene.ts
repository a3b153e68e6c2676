/** Shells in the root filesystems of steps that failed (`--on-error=shell`). Nothing that they write is kept. */
import { BuildError } from '../errors.ts'
import type { ContainerProcess, Executor } from '../exec/executor.ts'
import type { Mount } from '../snapshot/snapshotter.ts'
import type { Scene, ShellDefinition } from '../solve/vertex.ts'

export interface SceneInput {
  readonly executor: Executor
  readonly rootfs: readonly Mount[]
  /** What ran there, or would: the shell takes its place. */
  process(shell: ShellDefinition): ContainerProcess
  /** Disposed of with the scene: the root filesystem, and what is mounted over it. */
  readonly owned: AsyncDisposable
}

export function createScene({ executor, rootfs, process, owned }: SceneInput): Scene {
  return {
    async enter(shell, env, signal) {
      const context = { signal, output: () => undefined }
      const inside = process(shell)
      const open = async (program: string) =>
        void (await executor.run(interactive(inside, program, env), rootfs, context))
      try {
        await open(shell.program)
      } catch (error) {
        if (!isMissing(error) || shell.program === FALLBACK) throw explained(error, shell.program)
        await open(FALLBACK).catch(again => {
          throw explained(again, FALLBACK)
        })
      }
    },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  }
}

const FALLBACK = '/bin/sh'

function interactive(inside: ContainerProcess, program: string, env: readonly string[]): ContainerProcess {
  const named = new Set(inside.env.map(nameOf))
  const added = env.filter(variable => !named.has(nameOf(variable)))
  return { ...inside, args: [program], env: [...inside.env, ...added], isInteractive: true }
}

function nameOf(variable: string): string {
  return variable.slice(0, variable.indexOf('='))
}

function isMissing(error: unknown): error is BuildError {
  return error instanceof BuildError && error.code === 'run-failed'
}

function explained(error: unknown, program: string): unknown {
  if (!isMissing(error)) return error
  return new BuildError('run-failed', `Cannot open a shell: ${program} does not start`, {
    cause: error,
    hint: `a stage without a shell has none to look with (${error.message})`,
  })
}
