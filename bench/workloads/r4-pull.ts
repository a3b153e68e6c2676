import { ENGINE } from '../bench.ts'
import { DISTRIBUTION, LARGE_IMAGE, largeImageOf, type RegistryWithImage } from '../contenders/large-image.ts'
import { type Contender, timesBetter, type Workload } from '../workload.ts'
import { ACCEPT_MANIFEST, imageAt } from './r2-small-requests.ts'

const PULLS = 20

export const pull: Workload = {
  id: 'R4',
  title: 'pull of an image of 300 MB',
  limit: '-',
  async prepare(bench) {
    const { megabytes, registries, served } = await largeImageOf(bench)
    const { value: engine, missing } = await bench.engine()
    const { blobs } = await imageAt(served.host)
    const client = bench.loadClient()
    const names = registries.flatMap(({ there }) =>
      there.value === undefined ? [] : [`${there.value.host}/${LARGE_IMAGE}`],
    )
    const paths = [
      `/v2/${LARGE_IMAGE}/manifests/latest${ACCEPT_MANIFEST}`,
      ...blobs.map(digest => `/v2/${LARGE_IMAGE}/blobs/${digest}`),
    ]
    const contendersOf = (
      make: (host: string, pid: number, name: string) => Contender,
      without?: string,
    ): readonly Contender[] =>
      registries.map(({ name, there }: RegistryWithImage) =>
        there.value === undefined || without !== undefined
          ? { name, missing: there.missing ?? without ?? '', run: async () => undefined }
          : make(there.value.host, there.value.pid, name),
      )
    const byDocker = contendersOf(
      (host, pid, name): Contender => ({
        name,
        daemons: () => [pid],
        clientsAreFree: true,
        // Of all registries, as the layers are the same.
        before: async () => void (await engine?.tryDocker(['rmi', '--force', ...names])),
        async run() {
          await engine?.docker(['pull', '--quiet', `${host}/${LARGE_IMAGE}`])
          return undefined
        },
      }),
      missing,
    )
    const atOnce = contendersOf(
      (host, pid, name): Contender => ({
        name,
        daemons: () => [pid],
        clientsAreFree: true,
        async run() {
          const clients = Array.from({ length: PULLS }, () => paths)
          const { seconds } = await client.do('downloads', { host, clients })
          return { seconds }
        },
      }),
    )
    const target = timesBetter(1, [DISTRIBUTION], 'less', 'not slower than from any peer')
    const metrics = [{ key: 'seconds', unit: 's', better: 'less', target }] as const
    const dockerCase = { name: `${ENGINE} pull, ${megabytes} MB`, metrics, contenders: byDocker }
    const many = { name: `${PULLS} clients at once fetch all of it`, metrics, contenders: atOnce }
    // Without an engine there is nothing to ask; the other case is the server's alone.
    return missing === undefined ? [dockerCase, many] : [many]
  },
}
