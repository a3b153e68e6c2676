import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ENGINE } from '../bench.ts'
import { buildContenders } from '../contenders/build-case.ts'
import { BASE } from '../contenders/builders.ts'
import { makeFiles } from '../seeded-data.ts'
import { timesBetter, type Workload } from '../workload.ts'

export const oneChanged: Workload = {
  id: 'B4',
  title: 'one file of 20,000 changed, COPY and RUN after it',
  limit: 'one stat per context file, the layer and the RUN',
  async prepare(bench) {
    const files = bench.scaled(20_000, 100)
    const context = bench.folder('b4')
    makeFiles(context, files, files * 2000, 'b4')
    writeFileSync(join(context, 'Dockerfile'), `FROM ${BASE}\nCOPY . /app\nRUN ls /app > /list\n`)
    const contenders = await buildContenders(bench, {
      async before(builder, run) {
        if (run === 0) await builder.build(context)
        // Other bytes for each builder and run: nobody has seen them.
        writeFileSync(join(context, 'd0/f0'), `${builder.name} ${run}\n`)
      },
      async run(builder) {
        await builder.build(context)
        return undefined
      },
    })
    const target = timesBetter(3, [ENGINE], 'less', "at least 3x faster than docker's")
    return [
      {
        name: `one of ${files} files changed`,
        metrics: [{ key: 'seconds', unit: 's', better: 'less', target }],
        contenders,
      },
    ]
  },
}
