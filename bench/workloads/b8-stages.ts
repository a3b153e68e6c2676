import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from '../bench.ts'
import { buildContenders } from '../contenders/build-case.ts'
import { BASE } from '../contenders/builders.ts'
import { type Case, OURS, timesBetter, type Workload } from '../workload.ts'

const PATH_ALONE = 'slipway, the longest path alone'

export const stages: Workload = {
  id: 'B8',
  title: '4 independent stages, and a diamond',
  limit: 'the longest path',
  async prepare(bench) {
    const seconds = bench.quick ? 0.1 : 3
    const stage = (name: string, from: string = BASE): string =>
      `FROM ${from} AS ${name}\nRUN sleep ${seconds}; echo ${name} > /${name}\n`
    const names = ['a', 'b', 'c', 'd']
    const join = (from: readonly string[]): string =>
      `FROM ${BASE}\n${from.map(name => `COPY --from=${name} /${name} /${name}\n`).join('')}`
    return [
      await stagesCase(
        bench,
        '4 independent stages',
        names.map(name => stage(name)).join('') + join(names),
        stage('a') + join(['a']),
      ),
      await stagesCase(
        bench,
        'diamond',
        stage('top') + stage('left', 'top') + stage('right', 'top') + join(['left', 'right']),
        stage('top') + stage('left', 'top') + join(['left']),
      ),
    ]
  },
}

async function stagesCase(bench: Bench, name: string, whole: string, path: string): Promise<Case> {
  const contextOf = (kind: string, dockerfile: string): string => {
    const context = bench.folder(`b8 ${name} ${kind}`)
    writeFileSync(join(context, 'Dockerfile'), dockerfile)
    return context
  }
  const contexts = { whole: contextOf('whole', whole), path: contextOf('path', path) }
  const contendersOf = (context: string): ReturnType<typeof buildContenders> =>
    buildContenders(bench, {
      async before(builder, run) {
        if (run === 0) await builder.build(context)
      },
      async run(builder) {
        const atOnce = builder.name === 'buildah' ? ['--jobs', '4'] : []
        await builder.build(context, ['--no-cache', ...atOnce])
        return undefined
      },
    })
  const paths = (await contendersOf(contexts.path))
    .filter(contender => contender.name === OURS)
    .map(contender => ({ ...contender, name: PATH_ALONE }))
  const target = timesBetter(1 / 1.1, [PATH_ALONE], 'less', 'within 10 % of the longest path')
  return {
    name,
    metrics: [{ key: 'seconds', unit: 's', better: 'less', target }],
    contenders: [...(await contendersOf(contexts.whole)), ...paths],
  }
}
