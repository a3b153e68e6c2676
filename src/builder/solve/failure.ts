import type { OpContext, Result, Scene, ShellDefinition, Vertex } from './vertex.ts'

/** A step has failed, and what it had and left is there to be looked at. */
export interface StepFailure {
  /** `[build 2/5] RUN make` */
  readonly name: string
  readonly error: unknown
  readonly shell: ShellDefinition
  /** Runs a shell there, on our own terminal, to its end. @throws BuildError `run-failed` where there is none */
  enter(env: readonly string[], signal: AbortSignal): Promise<void>
}

/** Called once, for the failure that ends a build, after the steps beside it have been told to end. */
export type OnFailure = (failure: StepFailure) => Promise<void>

/** What a step may leave when it fails. Disposing lets it go. */
export interface Aftermath extends AsyncDisposable {
  /** Absent where nobody wants to look. */
  readonly keep?: (scene: Scene) => void
  show(error: unknown, inputs: readonly Result[]): Promise<void>
}

export function createAftermath(
  { name, op, shell }: Vertex,
  onFailure: OnFailure | undefined,
  signal: AbortSignal,
): Aftermath {
  const kept: Scene[] = []
  const silent: OpContext = { signal, output: () => undefined, status: () => undefined }

  async function find(inputs: readonly Result[]): Promise<Scene | undefined> {
    const [scene] = kept
    if (scene !== undefined || op.kind !== 'layer' || op.openScene === undefined) return scene
    const opened = await op.openScene(inputs, silent)
    kept.push(opened)
    return opened
  }

  return {
    ...(onFailure !== undefined && { keep: scene => void kept.push(scene) }),
    async show(error, inputs) {
      if (onFailure === undefined || shell === undefined || signal.aborted) return
      await onFailure({
        name,
        error,
        shell,
        async enter(env, shellSignal) {
          await (await find(inputs))?.enter(shell, env, shellSignal)
        },
      })
    },
    async [Symbol.asyncDispose]() {
      for (const scene of kept) await scene[Symbol.asyncDispose]()
    },
  }
}
