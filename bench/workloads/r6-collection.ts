import { fillGarbage } from '../contenders/filled-store.ts'
import { type Contender, OURS, timesBetter, type Workload } from '../workload.ts'

const UNDISTURBED = 'slipway, undisturbed'
const LONGEST_SECONDS = 300

export const collection: Workload = {
  id: 'R6',
  title: 'garbage collection of 100,000 blobs during pushes',
  limit: '-',
  async prepare(bench) {
    const garbage = bench.scaled(100_000, 100)
    const slipway = bench.slipway('r6')
    const served = bench.keep(await slipway.serve())
    const client = bench.loadClient()
    const pushFor = (seconds: number, seed: string) =>
      client.do('smallPushes', {
        host: served.host,
        repository: 'bench/small',
        connections: 4,
        seconds,
        bytes: 16 * 1024,
        seed,
      })
    const ours: Contender = {
      name: OURS,
      daemons: () => [served.process.pid ?? 0],
      before: run => fillGarbage(slipway.root, garbage, `garbage ${run}`),
      async run(run) {
        const pushed = pushFor(LONGEST_SECONDS, `during ${run}`)
        const started = performance.now()
        await slipway.run(['gc'])
        const collectedMs = performance.now() - started
        client.stop()
        const { p99Ms } = await pushed
        return { p99Ms, collectedMs }
      },
    }
    const undisturbed: Contender = {
      name: UNDISTURBED,
      daemons: () => [served.process.pid ?? 0],
      clientsAreFree: true,
      async run(run) {
        const { p99Ms } = await pushFor(bench.quick ? 0.3 : 4, `alone ${run}`)
        return { p99Ms }
      },
    }
    const target = timesBetter(0.5, [UNDISTURBED], 'less', 'within 2x of undisturbed')
    return [
      {
        name: `pushes of 16 KiB while ${garbage} blobs are collected`,
        metrics: [
          { key: 'p99Ms', label: 'p99', unit: 'ms', better: 'less', target },
          { key: 'collectedMs', label: 'the collection', unit: 'ms', better: 'less' },
        ],
        contenders: [ours, undisturbed],
      },
    ]
  },
}
