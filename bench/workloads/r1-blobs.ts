import { join } from 'node:path'
import type { Bench, Peer } from '../bench.ts'
import { DISTRIBUTION } from '../contenders/large-image.ts'
import { startNginx } from '../contenders/nginx.ts'
import type { LoadClient } from '../load/load-client.ts'
import { makeLargeFile } from '../seeded-data.ts'
import { type Case, type Contender, OURS, type Target, timesBetter, type Workload } from '../workload.ts'

const MB = 1024 * 1024
const CLIENTS = 32
const REPOSITORY = 'bench/blobs'
const UNDISTURBED = 'slipway, undisturbed'

interface Server {
  readonly name: string
  readonly there: Peer<{ readonly host: string; readonly pid: number; readonly paths: Paths }>
}

/** Of a large blob, one of which many are fetched, and a small one. */
interface Paths {
  readonly large: string
  readonly shared: string
  readonly small: string
}

export const blobs: Workload = {
  id: 'R1',
  title: 'GET of a large blob',
  limit: 'nginx with sendfile',
  async prepare(bench) {
    const sizes = {
      large: bench.scaled(1024, 8) * MB,
      shared: bench.scaled(128, 1) * MB,
      small: 1024,
    }
    const client = bench.loadClient()
    const servers = await serversOf(bench, client, sizes)
    return [
      speedCase(client, servers, '1 client', sizes.large, ({ large }) => [large]),
      speedCase(client, servers, `${CLIENTS} clients`, sizes.shared, ({ shared }) =>
        Array.from({ length: CLIENTS }, () => shared),
      ),
      disturbedCase(bench, client, servers),
    ]
  },
}

async function serversOf(
  bench: Bench,
  client: LoadClient,
  sizes: Readonly<Record<keyof Paths, number>>,
): Promise<readonly Server[]> {
  const pushTo = async (host: string): Promise<Paths> => {
    const push = async (seed: keyof Paths): Promise<string> => {
      const job = { host, repository: REPOSITORY, seeds: [seed], bytes: sizes[seed] }
      const { digests } = await client.do('pushes', job)
      return `/v2/${REPOSITORY}/blobs/${digests[0]}`
    }
    return { large: await push('large'), shared: await push('shared'), small: await push('small') }
  }
  const served = bench.keep(await bench.slipway('r1').serve())
  const ours = { host: served.host, pid: served.process.pid ?? 0, paths: await pushTo(served.host) }

  const files = bench.folder('r1-files')
  for (const name of ['large', 'shared', 'small'] as const)
    makeLargeFile(join(files, name), sizes[name], name)
  const nginx = await startNginx(bench, files)
  const paths = { large: '/large', shared: '/shared', small: '/small' }

  const distribution = await bench.distribution()
  return [
    { name: OURS, there: { value: ours } },
    { name: 'nginx', there: nginx.value === undefined ? nginx : { value: { ...nginx.value, paths } } },
    {
      name: DISTRIBUTION,
      there:
        distribution.value === undefined
          ? distribution
          : { value: { ...distribution.value, paths: await pushTo(distribution.value.host) } },
    },
  ]
}

function speedCase(
  client: LoadClient,
  servers: readonly Server[],
  name: string,
  size: number,
  pathsOf: (paths: Paths) => readonly string[],
): Case {
  const contenders = servers.map((server): Contender => {
    const { value, missing } = server.there
    if (value === undefined) return { name: server.name, missing, run: async () => undefined }
    const fetchAll = () =>
      client.do('downloads', { host: value.host, clients: pathsOf(value.paths).map(path => [path]) })
    return {
      name: server.name,
      clientsAreFree: true,
      daemons: () => [value.pid],
      // All are read from memory.
      before: async run => void (run === 0 && (await fetchAll())),
      async run() {
        const { bytes, seconds } = await fetchAll()
        return { speed: bytes / 1e6 / seconds }
      },
    }
  })
  const speed = timesBetter(1, ['nginx'], 'more', "at least nginx's")
  const cpu = timesBetter(1, ['nginx'], 'less', "at most nginx's")
  return {
    name: `${name}, ${size / MB} MiB each`,
    metrics: [
      { key: 'speed', unit: 'MB/s', better: 'more', target: speed },
      { key: 'cpuSeconds', label: 'CPU', unit: 's', better: 'less', target: cpu },
    ],
    contenders,
  }
}

/** Small requests while four others fetch the large blob. */
function disturbedCase(bench: Bench, client: LoadClient, servers: readonly Server[]): Case {
  const disturber = bench.loadClient()
  const seconds = bench.quick ? 0.2 : 2
  const contenderOf = ({ name, there: { value, missing } }: Server, downloads: number): Contender => {
    if (value === undefined) return { name, missing, run: async () => undefined }
    const { host, pid, paths } = value
    return {
      name,
      clientsAreFree: true,
      daemons: () => [pid],
      async run() {
        const clients = Array.from({ length: downloads }, () => [paths.large])
        const disturbed = disturber.do('downloads', { host, clients, seconds: seconds + 0.2 })
        const requests = [`HEAD ${paths.small}`]
        const [{ p99Ms }] = await Promise.all([
          client.do('requests', { host, connections: 4, seconds, requests }),
          disturbed,
        ])
        return { p99Ms }
      },
    }
  }
  const disturbed = servers.map(server => contenderOf(server, 4))
  const alone = servers
    .filter(({ name }) => name === OURS)
    .map(server => ({ ...contenderOf(server, 0), name: UNDISTURBED }))
  const target: Target = timesBetter(0.5, [UNDISTURBED], 'less', 'within 2x of undisturbed')
  return {
    name: 'HEAD of a small blob while 4 clients fetch the large one, p99',
    metrics: [{ key: 'p99Ms', unit: 'ms', better: 'less', target }],
    contenders: [...disturbed, ...alone],
  }
}
