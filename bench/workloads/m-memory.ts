import { DISTRIBUTION } from '../contenders/large-image.ts'
import { type Contender, OURS, type Target, type Workload } from '../workload.ts'

const MB = 1024 * 1024
const REPOSITORY = 'bench/memory'

/** The memory of builds is in the lines of the builds. */
export const memory: Workload = {
  id: 'M',
  title: 'peak memory of a server with hundreds of transfers at once',
  limit: '-',
  async prepare(bench) {
    const clients = bench.scaled(200, 4)
    const megabytes = bench.quick ? 1 : 8
    const pushing = bench.loadClient()
    const pulling = bench.loadClient()
    const contenderOf = async (name: string, host: string, pid: number): Promise<Contender> => {
      const push = (seeds: readonly string[], bytes: number) =>
        pushing.do('pushes', { host, repository: REPOSITORY, seeds, bytes })
      const { digests } = await push(['shared'], megabytes * MB)
      const paths = [`/v2/${REPOSITORY}/blobs/${digests[0]}`]
      return {
        name,
        clientsAreFree: true,
        daemons: () => [pid],
        async run(run) {
          const seeds = Array.from({ length: clients }, (_, index) => `own ${index} ${run}`)
          await Promise.all([
            push(seeds, megabytes * MB),
            pulling.do('downloads', { host, clients: seeds.map(() => paths) }),
          ])
          return undefined
        },
      }
    }
    const served = bench.keep(await bench.slipway('memory').serve())
    const ours = await contenderOf(OURS, served.host, served.process.pid ?? 0)
    const { value, missing } = await bench.distribution()
    const theirs =
      value === undefined
        ? { name: DISTRIBUTION, missing, run: async () => undefined }
        : await contenderOf(DISTRIBUTION, value.host, value.pid)
    return [
      {
        name: `${clients} pushes and ${clients} pulls of ${megabytes} MiB at once`,
        metrics: [
          { key: 'peakMB', label: 'peak memory', unit: 'MB', better: 'less', target: AT_MOST_150_MB },
          { key: 'seconds', label: 'time', unit: 's', better: 'less' },
        ],
        contenders: [ours, theirs],
      },
    ]
  },
}

const AT_MOST_150_MB: Target = {
  text: 'at most 150 MB',
  isMet(medians) {
    const ours = medians(OURS)
    return ours === undefined ? undefined : ours <= 150
  },
}
