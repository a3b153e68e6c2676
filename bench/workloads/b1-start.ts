import { run } from '../../test/e2e/support/process.ts'
import { often } from '../often.ts'
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
          { name: OURS, run: () => often(bench.quick, () => slipway.run(args)) },
          { name: NODE, run: () => often(bench.quick, () => run(process.execPath, ['-e', '0'])) },
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
