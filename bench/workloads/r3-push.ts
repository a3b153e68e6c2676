import type { Bench } from '../bench.ts'
import { DISTRIBUTION } from '../contenders/large-image.ts'
import type { LoadClient } from '../load/load-client.ts'
import { type Case, type Contender, OURS, type Target, timesBetter, type Workload } from '../workload.ts'

const MB = 1024 * 1024

export const push: Workload = {
  id: 'R3',
  title: 'push of large blobs',
  limit: 'one SHA-256 core for each',
  async prepare(bench) {
    const client = bench.loadClient()
    const one = bench.scaled(1024, 2)
    const each = bench.scaled(128, 1)
    return [
      await pushCase(bench, client, `${one} MiB in one PATCH`, 1, one * MB),
      await pushCase(bench, client, `8 at once, ${each} MiB each`, 8, each * MB),
    ]
  },
}

async function pushCase(
  bench: Bench,
  client: LoadClient,
  name: string,
  atOnce: number,
  bytes: number,
): Promise<Case> {
  const served = bench.keep(await bench.slipway(`r3 ${name}`).serve())
  const distribution = await bench.distribution()
  const contenderOf = (contender: string, host: string, pid: number): Contender => ({
    name: contender,
    clientsAreFree: true,
    daemons: () => [pid],
    async run(run) {
      const seeds = Array.from({ length: atOnce }, (_, index) => `${name} ${index} ${run}`)
      const job = { host, repository: 'bench/push', seeds, bytes }
      const { seconds, closingMs } = await client.do('pushes', job)
      return { speed: (atOnce * bytes) / 1e6 / seconds, closingMs: Math.max(...closingMs) }
    },
  })
  const theirs: Contender =
    distribution.value === undefined
      ? { name: DISTRIBUTION, missing: distribution.missing, run: async () => undefined }
      : contenderOf(DISTRIBUTION, distribution.value.host, distribution.value.pid)
  const twice = timesBetter(2, [DISTRIBUTION], 'more', 'at least 2x docker-registry')
  return {
    name,
    metrics: [
      { key: 'speed', unit: 'MB/s', better: 'more', target: twice },
      { key: 'closingMs', label: 'closing PUT', unit: 'ms', better: 'less', target: CLOSING },
    ],
    contenders: [contenderOf(OURS, served.host, served.process.pid ?? 0), theirs],
  }
}

const CLOSING: Target = {
  text: 'under 100 ms',
  isMet(medians) {
    const ours = medians(OURS)
    return ours === undefined ? undefined : ours < 100
  },
}
