import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { podmanIn } from '../../test/e2e/support/peers.ts'
import { ENGINE } from '../bench.ts'
import { RUNTIME } from '../contenders/builders.ts'
import { LARGE_IMAGE, largeImageOf } from '../contenders/large-image.ts'
import { type Contender, OURS, timesBetter, type Workload } from '../workload.ts'

export const pullBase: Workload = {
  id: 'B9',
  title: 'first pull and unpack of a base of 300 MB',
  limit: 'decompress, hash and write, overlapped',
  async prepare(bench) {
    const { served, megabytes } = await largeImageOf(bench)
    const image = `${served.host}/${LARGE_IMAGE}`
    const context = bench.folder('b9')
    writeFileSync(join(context, 'Dockerfile'), `FROM ${image}\nRUN true\n`)
    const slipway = bench.slipway('b9')
    const ours: Contender = {
      name: OURS,
      async before() {
        rmSync(slipway.root, { recursive: true, force: true })
      },
      // Ours unpacks a base when a step needs it, so there is one.
      async run() {
        await slipway.run(['build', '--network=host', '--runtime', RUNTIME, '-t', 'b9', context])
        return undefined
      },
    }

    const { value: engine, missing } = await bench.engine()
    const docker: Contender =
      engine === undefined
        ? { name: ENGINE, missing, run: async () => undefined }
        : {
            name: ENGINE,
            daemons: () => [engine.pid],
            before: async () => void (await engine.tryDocker(['rmi', '--force', image])),
            async run() {
              await engine.docker(['pull', '--quiet', image])
              return undefined
            },
          }

    const program = bench.program('podman')
    const podman = podmanIn(bench.scratch)
    const other: Contender = {
      name: 'podman',
      ...(program.missing === undefined ? {} : { missing: program.missing }),
      before: async () => void (await podman(['rmi', '--force', '--all'])),
      async run() {
        await podman(['pull', '--quiet', '--tls-verify=false', image])
        return undefined
      },
    }
    const text = 'faster than `docker pull` and `podman pull`'
    const target = timesBetter(1, [ENGINE, 'podman'], 'less', text)
    return [
      {
        name: `${megabytes} MB in 3 layers; ours with a RUN true on top`,
        metrics: [{ key: 'seconds', unit: 's', better: 'less', target }],
        contenders: [ours, docker, other],
      },
    ]
  },
}
