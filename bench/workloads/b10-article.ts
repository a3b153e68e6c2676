import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { debianRootfs, isMade } from '../../test/e2e/support/base-images.ts'
import type { Engine } from '../../test/e2e/support/engine.ts'
import { type Bench, ENGINE, openEngine, type Peer } from '../bench.ts'
import { buildContenders } from '../contenders/build-case.ts'
import { timesBetter, type Workload } from '../workload.ts'

const BASE = 'bench-debian:1'
const CLOCK = 'read up idle < /proc/uptime; echo "@clock $up"'

/** What the first users built, with a clock around what the RUNs do: that takes as long with everybody. */
const dockerfile = (steps: readonly string[]): string => `FROM ${BASE}
${steps.map(step => `RUN ${CLOCK}; ${step}; ${CLOCK}\n`).join('')}COPY . /app
VOLUME /app/config
EXPOSE 80/tcp
ENTRYPOINT ["/app/main"]
`

export const article: Workload = {
  id: 'B10',
  title: "the article's example, cold, to `docker pull`ed",
  limit: 'the RUNs themselves',
  async prepare(bench) {
    // Debian's base takes the network to make, and so do the steps.
    const isReal = !bench.quick && (await isMade('bookworm-minbase.tar'))
    const context = bench.folder('b10')
    writeFileSync(join(context, 'main'), '#!/bin/sh\necho hello\n')
    chmodSync(join(context, 'main'), 0o755)
    const steps = isReal ? ['apt-get update', 'apt-get upgrade -y'] : ['true', 'sleep 0']
    writeFileSync(join(context, 'Dockerfile'), dockerfile(steps))

    const archive = join(bench.scratch, 'b10-base.tar')
    const maker = bench.slipway('b10-base')
    await maker.run(['import', isReal ? await debianRootfs() : await bench.busybox(), BASE])
    await maker.run(['save', '-o', archive, BASE])

    const reader = await readerOf(bench)
    const contenders = await buildContenders(bench, {
      async before(builder) {
        await builder.reset()
        await builder.load(archive)
        // Where ours serves is there before, as registries are.
        if (reader.value !== undefined)
          await reader.value.tryDocker(['rmi', '--force', await builder.where()])
      },
      async run(builder) {
        const started = performance.now()
        const printed = await builder.build(context)
        await builder.publish()
        await reader.value?.docker(['pull', '--quiet', await builder.where()])
        const total = (performance.now() - started) / 1000
        return { besides: total - secondsInSteps(printed), total }
      },
    })
    const target = timesBetter(2, [ENGINE, 'buildah'], 'less', 'at least 2x less than any peer')
    const how = isReal ? 'with apt-get' : 'with steps that do nothing'
    return [
      {
        name: reader.value === undefined ? `${how}, not pulled` : how,
        metrics: [
          { key: 'besides', label: 'besides the RUNs', unit: 's', better: 'less', target },
          { key: 'total', label: 'in all', unit: 's', better: 'less' },
        ],
        contenders,
      },
    ]
  },
}

/** An engine that has none of the layers; for a quick look the one that is there does. */
async function readerOf(bench: Bench): Promise<Peer<Engine>> {
  const first = await bench.engine()
  if (bench.quick || first.value === undefined) return first
  const second = await openEngine(true)
  if (second.value !== undefined) bench.keep(second.value)
  return second
}

function secondsInSteps(printed: string): number {
  const times = [...printed.matchAll(/@clock (\d+\.\d+)/g)].map(([, time]) => Number(time))
  let seconds = 0
  for (let index = 0; index + 1 < times.length; index += 2)
    seconds += (times[index + 1] ?? 0) - (times[index] ?? 0)
  return seconds
}
