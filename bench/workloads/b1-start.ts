import { run } from '../../test/e2e/support/process.ts'
import { type Case, type Medians, OURS, type Target, type Workload } from '../workload.ts'

const NODE = 'node -e 0'

export const start: Workload = {
  id: 'B1',
  title: 'start-up',
  limit: 'node -e 0',
  async prepare(bench) {
    const slipway = bench.slipway('start')
    const cases = [['--version'], ['build', '--help']]
    return cases.map(
      (args): Case => ({
        name: args.join(' '),
        metrics: [{ key: 'ms', unit: 'ms', better: 'less', target: AT_MOST_40_MS_OVER }],
        contenders: [
          { name: OURS, run: () => oftenMs(bench.quick, () => slipway.run(args)) },
          { name: NODE, run: () => oftenMs(bench.quick, () => run(process.execPath, ['-e', '0'])) },
        ],
      }),
    )
  },
}

const AT_MOST_40_MS_OVER: Target = {
  text: 'at most 40 ms over `node -e 0`',
  isMet(medians: Medians) {
    const ours = medians(OURS)
    const node = medians(NODE)
    return ours === undefined || node === undefined ? undefined : ours - node <= 40
  },
}

/** The median of several, as one is short. */
export async function oftenMs(
  quick: boolean,
  action: () => Promise<unknown>,
  times = 7,
): Promise<{ readonly ms: number }> {
  const took: number[] = []
  for (let count = 0; count < (quick ? 1 : times); count++) {
    const started = performance.now()
    await action()
    took.push(performance.now() - started)
  }
  took.sort((a, b) => a - b)
  return { ms: took[Math.floor(took.length / 2)] ?? 0 }
}
