import type { Bench, Peer } from '../bench.ts'
import type { Contender } from '../workload.ts'
import { type Builder, createBuilders, type Named } from './builders.ts'

/** What each builder does before a run, and what is measured then. */
export interface BuildSteps {
  before?(builder: Builder, run: number): Promise<void>
  run(builder: Builder, run: number): Promise<Readonly<Record<string, number>> | undefined>
}

/** All builders as contenders. One set of them serves the whole bench: they are slow to start. */
export async function buildContenders(bench: Bench, steps: BuildSteps): Promise<readonly Contender[]> {
  return (await buildersOf(bench)).map(({ name, value, missing }): Contender => {
    if (value === undefined) return { name, missing, run: async () => undefined }
    const { before, run } = steps
    return {
      name,
      daemons: value.daemons,
      ...(before === undefined ? {} : { before: (number: number) => before(value, number) }),
      run: number => run(value, number),
    }
  })
}

const shared = new WeakMap<Bench, Promise<readonly Named<Peer<Builder>>[]>>()

export function buildersOf(bench: Bench): Promise<readonly Named<Peer<Builder>>[]> {
  const known = shared.get(bench) ?? createBuilders(bench)
  shared.set(bench, known)
  return known
}
