import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { succeed } from '../../test/e2e/support/process.ts'
import { type Bench, ENGINE } from '../bench.ts'
import { buildContenders } from '../contenders/build-case.ts'
import { BASE, RUNTIME } from '../contenders/builders.ts'
import { type Contender, OURS, timesBetter, type Workload } from '../workload.ts'

export const thirtySteps: Workload = {
  id: 'B7',
  title: '30 x RUN true',
  limit: 'the start of the runtime, 30 times',
  async prepare(bench) {
    const steps = bench.scaled(30, 2)
    const context = bench.folder('b7')
    const runs = Array.from({ length: steps }, (_, number) => `RUN true ${number}\n`)
    writeFileSync(join(context, 'Dockerfile'), `FROM ${BASE}\n${runs.join('')}`)
    const builders = await buildContenders(bench, {
      async before(builder, run) {
        if (run === 0) await builder.build(context)
      },
      async run(builder) {
        await builder.build(context, ['--no-cache'])
        return undefined
      },
    })
    const runtime = await runtimeAlone(bench, steps)
    const within: typeof ahead = {
      text: `within 1.5x of ${runtime.name}; ahead of BuildKit`,
      isMet(medians) {
        const [ours, floor] = [medians(OURS), medians(runtime.name)]
        if (ours === undefined || floor === undefined) return undefined
        return ours <= floor * 1.5 && ahead.isMet(medians) !== false
      },
    }
    const ahead = timesBetter(1, [ENGINE], 'less', 'ahead of BuildKit')
    return [
      {
        name: `${steps} steps`,
        metrics: [{ key: 'seconds', unit: 's', better: 'less', target: within }],
        contenders: [...builders, runtime],
      },
    ]
  },
}

/** The same command in the same root filesystem, by nothing but the runtime. */
async function runtimeAlone(bench: Bench, steps: number): Promise<Contender> {
  const name = `${RUNTIME} alone`
  const program = bench.program(RUNTIME)
  if (program.missing !== undefined) return { name, missing: program.missing, run: async () => undefined }
  const bundle = bench.folder('b7-bundle')
  mkdirSync(join(bundle, 'rootfs'))
  await succeed('tar', ['-C', join(bundle, 'rootfs'), '-xf', await bench.busybox()])
  await succeed(program.value, ['spec', '--bundle', bundle])
  const file = join(bundle, 'config.json')
  const config = JSON.parse(readFileSync(file, 'utf8'))
  config.process.terminal = false
  config.process.args = ['/bin/sh', '-c', 'true']
  writeFileSync(file, JSON.stringify(config))
  return {
    name,
    async run(run) {
      const state = ['--root', join(bench.scratch, 'b7-state')]
      for (let step = 0; step < steps; step++)
        await succeed(program.value, [
          ...state,
          'run',
          '--bundle',
          bundle,
          `bench-${process.pid}-${run}-${step}`,
        ])
      return undefined
    },
  }
}
