import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ENGINE } from '../bench.ts'
import { buildContenders } from '../contenders/build-case.ts'
import { BASE } from '../contenders/builders.ts'
import { often } from '../often.ts'
import { makeFiles } from '../seeded-data.ts'
import { timesBetter, type Workload } from '../workload.ts'

const DOCKERFILE = `FROM ${BASE}
WORKDIR /app
ENV MODE=production
COPY d0 ./d0
RUN echo one > one
RUN echo two > two
COPY . .
CMD ["cat", "one"]
`

export const unchanged: Workload = {
  id: 'B2',
  title: 'unchanged build, 7 steps, small context',
  limit: 'one stat per context file',
  async prepare(bench) {
    const context = bench.folder('b2')
    makeFiles(context, 20, 40_000, 'b2')
    writeFileSync(join(context, 'Dockerfile'), DOCKERFILE)
    const contenders = await buildContenders(bench, {
      before: async (builder, run) => void (run === 0 && (await builder.build(context))),
      run: builder => often(bench.quick, () => builder.build(context), 3),
    })
    const target = timesBetter(1, [ENGINE], 'less', "at most 1.0x of the warm BuildKit client's time")
    return [
      {
        name: 'nothing has changed',
        metrics: [{ key: 'ms', unit: 'ms', better: 'less', target }],
        contenders,
      },
    ]
  },
}
