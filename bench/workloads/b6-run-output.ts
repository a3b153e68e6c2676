import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ENGINE } from '../bench.ts'
import { buildContenders } from '../contenders/build-case.ts'
import { BASE } from '../contenders/builders.ts'
import { timesBetter, type Workload } from '../workload.ts'

const FILE_BYTES = 30_000

/** One process writes all files, each of text that depends on the seed and repeats only beyond the window of gzip. */
const PROGRAM = `BEGIN {
  x = seed
  while (length(s) < ${FILE_BYTES}) { x = (x * 1103515245 + 12345) % 2147483648; s = s sprintf("%x ", x) }
  for (n = 0; n < files; n++) {
    if (n % 100 == 0) system("mkdir -p /out/d" int(n / 100))
    k = (n * 7919) % ${FILE_BYTES} + 1
    f = "/out/d" int(n / 100) "/f" n
    printf "%d %s%s", n, substr(s, k), substr(s, 1, k - 1) > f
    close(f)
  }
}`

export const runOutput: Workload = {
  id: 'B6',
  title: 'RUN that writes 300 MB in 10,000 files, to pullable',
  limit: 'one SHA-256 core and the disk; compression on all cores',
  async prepare(bench) {
    const files = bench.scaled(10_000, 100)
    const context = bench.folder('b6')
    writeFileSync(join(context, 'write.awk'), PROGRAM)
    const dockerfile = `FROM ${BASE}
COPY write.awk /
ARG SEED
RUN awk -v seed=$SEED -v files=${files} -f /write.awk
`
    writeFileSync(join(context, 'Dockerfile'), dockerfile)
    const contenders = await buildContenders(bench, {
      async before(builder) {
        await builder.reset()
        // The base unpacked, as it is on a machine that builds often.
        await builder.build(context, ['--build-arg', 'SEED=0'])
        await builder.publish()
      },
      async run(builder, run) {
        await builder.build(context, ['--build-arg', `SEED=${run + 1}`])
        await builder.publish()
        return undefined
      },
    })
    const target = timesBetter(4, [ENGINE], 'less', 'at least 4x faster than BuildKit build + push')
    return [
      {
        name: `${files} files, ${Math.round((files * FILE_BYTES) / 1e6)} MB`,
        metrics: [{ key: 'seconds', unit: 's', better: 'less', target }],
        contenders,
      },
    ]
  },
}
