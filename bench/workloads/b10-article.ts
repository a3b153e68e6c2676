import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { debianRootfs, isMade } from '../../test/e2e/support/base-images.ts'
import { type Bench, ENGINE, openEngine, type Peer } from '../bench.ts'
import { buildContenders } from '../contenders/build-case.ts'
import { startRegistry } from '../contenders/builders.ts'
import { timesBetter, type Workload } from '../workload.ts'

const CLOCK = 'read up idle < /proc/uptime; echo "@clock $up"'

/** What the first users built, with a clock around what the RUNs do: that takes as long with everybody. */
const dockerfile = (base: string, steps: readonly string[]): string => `FROM ${base}
${steps.map(step => `RUN ${CLOCK}; ${step}; ${CLOCK}\n`).join('')}COPY . /app
VOLUME /app/config
EXPOSE 80/tcp
ENTRYPOINT ["/app/main"]
`

/**
 * Cold for all of them: the base lies in a registry, as a first build finds it, and everybody pulls and unpacks it within
 * the time that is measured, at whatever point. From that time the seconds between the clocks are taken off; so what is
 * left is to pull and unpack the base, start the steps, commit and publish what they leave, and `docker pull` the result
 * with an engine that has no layer of it.
 */
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
    const base = await servedBase(bench, isReal ? await debianRootfs() : await bench.busybox())
    writeFileSync(join(context, 'Dockerfile'), dockerfile(base, steps))

    const reader = await readerOf(bench)
    const contenders = await buildContenders(bench, {
      async before(builder) {
        await builder.reset()
        await reader.value?.forget()
        // Where ours serves is there before, as registries are.
        if (reader.value !== undefined) await builder.where()
      },
      async run(builder) {
        const started = performance.now()
        const printed = await builder.build(context)
        await builder.publish()
        await reader.value?.pull(await builder.where())
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

/** An image of one layer in a registry; where it is to be had there. */
async function servedBase(bench: Bench, rootfs: string): Promise<string> {
  const { host } = await startRegistry(bench)
  const name = `${host}/bench-debian:1`
  const maker = bench.slipway('b10-base')
  await maker.run(['import', rootfs, name])
  await maker.run(['push', name])
  return name
}

/** An engine that pulls, and has no layer of what it pulls. */
interface Reader {
  pull(name: string): Promise<void>
  /** Whoever built it: the base's layer is in what each of them builds. */
  forget(): Promise<void>
}

/** For a quick look the engine that is there does. */
async function readerOf(bench: Bench): Promise<Peer<Reader>> {
  const first = await bench.engine()
  if (first.value === undefined) return first
  const second = bench.quick ? first : await openEngine(true)
  if (second.value === undefined) return second
  const engine = bench.quick ? second.value : bench.keep(second.value)
  const pulled = new Set<string>()
  return {
    value: {
      async pull(name) {
        pulled.add(name)
        await engine.docker(['pull', '--quiet', name])
      },
      async forget() {
        for (const name of pulled) await engine.tryDocker(['rmi', '--force', name])
        pulled.clear()
      },
    },
  }
}

function secondsInSteps(printed: string): number {
  const times = [...printed.matchAll(/@clock (\d+\.\d+)/g)].map(([, time]) => Number(time))
  let seconds = 0
  for (let index = 0; index + 1 < times.length; index += 2)
    seconds += (times[index + 1] ?? 0) - (times[index] ?? 0)
  return seconds
}
