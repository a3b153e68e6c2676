import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bench, ENGINE } from '../bench.ts'
import { buildContenders } from '../contenders/build-case.ts'
import { makeFiles, makeLargeFile } from '../seeded-data.ts'
import { type Case, timesBetter, type Workload } from '../workload.ts'

const MB = 1024 * 1024

export const copy: Workload = {
  id: 'B5',
  title: 'cold COPY, to pullable from a registry',
  limit: 'one SHA-256 core and the disk',
  async prepare(bench) {
    const files = bench.scaled(20_000, 100)
    const small = bench.folder('b5-small')
    makeFiles(small, files, files * 2000, 'b5')

    const megabytes = bench.scaled(600, 2)
    const large = bench.folder('b5-large')
    mkdirSync(join(large, 'd'))
    for (const half of ['one', 'two'])
      makeLargeFile(join(large, 'd', half), (megabytes / 2) * MB, `b5 ${half}`)

    return [
      await copyCase(bench, small, `${files} files, ${Math.round((files * 2000) / 1e6)} MB`),
      await copyCase(bench, large, `${megabytes} MB in 2 files`),
    ]
  },
}

async function copyCase(bench: Bench, context: string, name: string): Promise<Case> {
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY . /app\n')
  const contenders = await buildContenders(bench, {
    before: builder => builder.reset(),
    async run(builder) {
      await builder.build(context)
      await builder.publish()
      return undefined
    },
  })
  const target = timesBetter(4, [ENGINE], 'less', 'at least 4x faster than BuildKit build + push')
  return { name, metrics: [{ key: 'seconds', unit: 's', better: 'less', target }], contenders }
}
