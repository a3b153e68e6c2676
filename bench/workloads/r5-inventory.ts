import { digestOf } from '../../src/oci/digest.ts'
import type { RepositoryName } from '../../src/oci/reference.ts'
import { openStore } from '../../src/store/open.ts'
import type { Bench } from '../bench.ts'
import { fillInventory, repositoryName, type Size, subjectOf } from '../contenders/filled-store.ts'
import { type Case, type Contender, OURS, timesBetter, type Workload } from '../workload.ts'

const SMALL: Size = { repositories: 10, tags: 10 }
const FEW = 'slipway with 100 tags'
const QUOTA_BLOBS = 10_000

/** Requests about anything of what is there. */
const QUESTIONS: readonly (readonly [name: string, request: (random: number) => string])[] = [
  ['catalog, 100 from anywhere', random => `/v2/_catalog?n=100&last=${repositoryName(random)}`],
  ['tag list', random => `/v2/${repositoryName(random)}/tags/list`],
  ['referrers', random => `/v2/${repositoryName(random)}/referrers/${subjectOf(random)}`],
  ['repositories by push (API)', () => '/api/v1/repositories?sort=pushed&n=100'],
  ['tags of a repository (API)', random => `/api/v1/tags?repository=${repositoryName(random)}`],
]

export const inventory: Workload = {
  id: 'R5',
  title: 'catalog, tags, referrers with 10,000 repositories and 100,000 tags',
  limit: 'a row read',
  async prepare(bench) {
    const large: Size = { repositories: bench.scaled(10_000, 20), tags: 10 }
    const client = bench.loadClient()
    const serve = async (size: Size, name: string) => {
      const slipway = bench.slipway(name)
      await fillInventory(slipway.root, size)
      const served = bench.keep(await slipway.serve())
      return { size, host: served.host, pid: served.process.pid ?? 0 }
    }
    const servers = [
      { name: OURS, ...(await serve(large, 'r5-large')) },
      { name: FEW, ...(await serve(SMALL, 'r5-small')) },
    ]
    const tags = large.repositories * large.tags
    const target = timesBetter(0.5, [FEW], 'less', 'p99 within 2x of that at 100 tags')
    const cases = QUESTIONS.map(
      ([name, request]): Case => ({
        name: `${name}, ${tags} tags, p99`,
        metrics: [{ key: 'p99Ms', unit: 'ms', better: 'less', target }],
        contenders: servers.map(
          ({ name, size, host, pid }): Contender => ({
            name,
            clientsAreFree: true,
            daemons: () => [pid],
            async run() {
              const asked = Array.from({ length: 500 }, (_, turn) => (turn * 7919) % size.repositories)
              const requests = asked.map(random => `GET ${request(random)}`)
              const job = { host, connections: 1, seconds: bench.quick ? 0.2 : 2, requests }
              const { p99Ms } = await client.do('requests', job)
              return { p99Ms }
            },
          }),
        ),
      }),
    )
    return [...cases, await quotaCase(bench)]
  },
}

/** What a push asks where a quota stands above many blobs. */
async function quotaCase(bench: Bench): Promise<Case> {
  const { root } = bench.slipway('r5-quota')
  const rules = { isImmutable: () => false, quotas: [{ prefix: 'quota', limit: 1e15 }] }
  const name = 'quota/app' as RepositoryName
  const digests = Array.from({ length: QUOTA_BLOBS }, (_, number) => digestOf(Buffer.from(`blob ${number}`)))
  const store = await openStore({ root, now: Date.now, rules })
  bench.keep({ [Symbol.asyncDispose]: async () => store[Symbol.dispose]() })
  store.disk.database.write(() => {
    store.disk.database.run('INSERT INTO repositories (id, name) VALUES (1, ?)', name)
    for (const digest of digests) {
      store.disk.database.run('INSERT INTO blobs (digest, size, touched_at) VALUES (?, 10, 1)', digest)
      store.disk.database.run('INSERT INTO links VALUES (1, ?, 1)', digest)
    }
  }, 'relaxed')
  return {
    name: `a question to a quota above ${QUOTA_BLOBS} blobs, p99`,
    metrics: [{ key: 'p99Ms', unit: 'ms', better: 'less' }],
    contenders: [
      {
        name: OURS,
        async run() {
          const times: number[] = []
          for (const digest of digests.slice(0, 500)) {
            const started = performance.now()
            store.inventory.quotaUsage('quota')
            store.inventory.bytesNewBelow('quota', { digest, size: 1 })
            times.push(performance.now() - started)
          }
          times.sort((a, b) => a - b)
          return { p99Ms: times[Math.floor(times.length * 0.99)] ?? 0 }
        },
      },
    ],
  }
}
