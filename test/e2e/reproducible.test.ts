import assert from 'node:assert/strict'
import { chmod, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { succeed } from './support/process.ts'
import { slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const FILES = {
  Dockerfile: `FROM base:1 AS tool
RUN echo tool > /tool && touch /tool
FROM base:1
ARG SOURCE_DATE_EPOCH
WORKDIR /srv/app
COPY --from=tool /tool /usr/bin/tool
COPY src/ ./
COPY <<EOT /etc/motd
hello
EOT
RUN mkdir -p build/out && cp main.txt build/out/ && echo "of $SOURCE_DATE_EPOCH" > stamp && rm /etc/group
RUN ln main.txt other && ln -s main.txt link && chmod 700 build
VOLUME /data
LABEL a=b
`,
  'src/main.txt': 'main\n',
  'src/lib/part.txt': 'part\n',
}
const EPOCH = '1600000000'

interface Machine {
  readonly name: string
  readonly umask: string
  /** Of the checkout, in seconds since the epoch. */
  readonly checkedOutAt: number
}

describe('SOURCE_DATE_EPOCH', { skip: cannotRun({ root: true, programs: ['runc'] }) }, () => {
  let world: World
  before(async () => {
    world = await createWorld({ base: true })
    await world.slipway.run(['save', '-o', join(world.scratch, 'base.oci'), 'base:1'])
  })
  after(() => world?.[Symbol.asyncDispose]())

  /** A build on a machine with a store and a checkout of its own. */
  async function build(machine: Machine, ...options: readonly string[]): Promise<string> {
    const { name, umask, checkedOutAt } = machine
    const slipway = slipwayAt(join(world.scratch, name, 'store'))
    const context = await world.folder(`${name}/checkout-${name}`, FILES)
    for (const file of [...Object.keys(FILES), 'src', 'src/lib']) {
      const path = join(context, file)
      await chmod(path, file.includes('.') || file === 'Dockerfile' ? 0o644 : 0o755)
      await utimes(path, checkedOutAt, checkedOutAt)
    }
    await slipway.run(['load', '-i', join(world.scratch, 'base.oci')])
    const metadata = join(world.scratch, name, 'metadata.json')
    const program = join(import.meta.dirname, '../../bin/slipway')
    const script = `umask ${umask}; exec "$@"`
    const args = ['build', '--network=host', '--no-cache', '--metadata-file', metadata, ...options, context]
    await succeed('sh', ['-c', script, 'sh', program, ...args], { env: slipway.env })
    const found = /"containerimage.digest": "([^"]+)"/.exec(await succeed('cat', [metadata]))
    assert.ok(found?.[1] !== undefined)
    return found[1]
  }

  it('makes two machines build the same image, whatever their folders, times and umasks', async () => {
    const epoch = ['--build-arg', `SOURCE_DATE_EPOCH=${EPOCH}`]
    const first = await build({ name: 'first', umask: '022', checkedOutAt: 1.7e9 }, ...epoch)
    // Files that RUN writes are of the second in which it runs.
    const second = Math.floor(Date.now() / 1000)
    while (Math.floor(Date.now() / 1000) === second) await new Promise(resolve => setTimeout(resolve, 50))
    const other = await build({ name: 'other', umask: '077', checkedOutAt: 1.75e9 }, ...epoch)
    assert.equal(other, first)
    const kept = await build(
      { name: 'kept', umask: '022', checkedOutAt: 1.76e9 },
      ...epoch,
      ...['-o', 'type=store,rewrite-timestamp=false'],
    )
    assert.notEqual(kept, first)
  })

  it('is taken from the environment as well', async () => {
    const args = ['--build-arg', `SOURCE_DATE_EPOCH=${EPOCH}`]
    const given = await build({ name: 'argument', umask: '022', checkedOutAt: 1.72e9 }, ...args)
    process.env.SOURCE_DATE_EPOCH = EPOCH
    try {
      assert.equal(await build({ name: 'environment', umask: '022', checkedOutAt: 1.73e9 }), given)
    } finally {
      delete process.env.SOURCE_DATE_EPOCH
    }
  })
})
