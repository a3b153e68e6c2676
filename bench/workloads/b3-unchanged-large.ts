import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ENGINE } from '../bench.ts'
import { buildContenders } from '../contenders/build-case.ts'
import { BASE } from '../contenders/builders.ts'
import { often } from '../often.ts'
import { makeFiles } from '../seeded-data.ts'
import { timesBetter, type Workload } from '../workload.ts'

export const unchangedLarge: Workload = {
  id: 'B3',
  title: 'unchanged build, context of 20,000 files',
  limit: 'one stat per context file',
  async prepare(bench) {
    const files = bench.scaled(20_000, 100)
    const context = bench.folder('b3')
    makeFiles(context, files, files * 2000, 'b3')
    writeFileSync(join(context, 'Dockerfile'), `FROM ${BASE}\nCOPY . /app\nRUN ls /app > /list\n`)
    const contenders = await buildContenders(bench, {
      before: async (builder, run) => void (run === 0 && (await builder.build(context))),
      run: builder => often(bench.quick, () => builder.build(context), 3),
    })
    const target = timesBetter(5, [ENGINE], 'less', "at least 5x faster than docker's")
    return [
      {
        name: `${files} files, nothing has changed`,
        metrics: [{ key: 'ms', unit: 'ms', better: 'less', target }],
        contenders,
      },
    ]
  },
}
