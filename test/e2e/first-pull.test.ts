/** A base that is unpacked while it is downloaded, from a registry that breaks off, holds back, lies, or is asked twice. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { type Served, type Slipway, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const LARGE_BYTES = 2_000_000

/** What comes between a registry and its client. Given the bytes of a large blob, it sends what it likes. */
type Between = (asking: IncomingMessage, bytes: Buffer, response: ServerResponse) => void

describe('a first pull', { skip: cannotRun({ root: true, programs: ['runc'] }) }, () => {
  let world: World
  let served: Served
  let front: Server
  let between: Between | undefined
  let slipway: Slipway
  let context: string

  before(async () => {
    world = await createWorld({ base: true })
    await makeBase(world)
    served = await world.slipway.serve()
    front = createServer((asking, response) => {
      forward(served.host, asking, response, between)
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => front.once('listening', resolve))
    const { port } = front.address() as AddressInfo
    slipway = slipwayAt(join(world.scratch, 'cold'))
    const check = 'cd / && sha256sum -c sums && [ ! -e removed ] && [ ! -e data/old ] && [ -L data/link ]'
    context = await world.folder('app', {
      Dockerfile: `FROM 127.0.0.1:${port}/large\nRUN ${check}\n`,
    })
  })
  afterEach(() => {
    between = undefined
    rmSync(slipway.root, { recursive: true, force: true })
  })
  after(async () => {
    front?.closeAllConnections()
    front?.close()
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  const build = (tag = 'app') =>
    slipway.try(['build', '--network=host', '--progress=plain', '-t', tag, context])

  it('goes on where connections broke', async () => {
    const broken = new Set<string>()
    between = (asking, bytes, response) => {
      const isFirst = !broken.has(asking.url ?? '')
      broken.add(asking.url ?? '')
      if (!isFirst) assert.notEqual(asking.headers.range, undefined)
      if (isFirst) response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
      else response.end(bytes)
    }
    const { code, stderr } = await build()
    assert.equal(code, 0, stderr)
    assert.ok(broken.size >= 2)
  })

  it('of two builds at once gives both the same', async () => {
    for (const { code, stderr } of await Promise.all([build('one'), build('two')]))
      assert.equal(code, 0, stderr)
    assert.deepEqual(unfinished(slipway), [])
  })

  it('that ends with kill -9 while it unpacks leaves nothing in the way', async () => {
    const halfWay = Promise.withResolvers<void>()
    between = (_asking, bytes, response) => {
      response.write(bytes.subarray(0, bytes.length / 2), () => halfWay.resolve())
    }
    const child = slipway.start(['build', '--network=host', '--progress=plain', '-t', 'app', context])
    let printed = ''
    const unpacking = new Promise<void>(resolve => {
      child.stderr?.on('data', (chunk: Buffer) => {
        printed += chunk
        if ((printed.match(/unpacking sha256:/g) ?? []).length >= 2) resolve()
      })
    })
    await Promise.all([halfWay.promise, unpacking])
    const ended = new Promise(resolve => child.once('close', resolve))
    child.kill('SIGKILL')
    await ended
    between = undefined
    const { code, stderr } = await build()
    assert.equal(code, 0, stderr)
    assert.deepEqual(unfinished(slipway), [])
  })

  it('of other bytes than were promised fails, and keeps nothing that was unpacked of them', async () => {
    between = (_asking, bytes, response) => {
      const other = Buffer.from(bytes)
      other[other.length - 1] = (other.at(-1) ?? 0) ^ 1
      response.end(other)
    }
    const { code, stderr } = await build()
    assert.equal(code, 1, stderr)
    assert.match(stderr, /want sha256:\w+, got sha256:/)
    assert.deepEqual(unfinished(slipway), [])
    // The small base below it is right, and there.
    assert.equal(snapshots(slipway).length, 1)
    assert.deepEqual(readdirSync(join(slipway.root, 'ingest')), [])
    between = undefined
    assert.equal((await build()).code, 0)
  })
})

/** Layers that add, replace, delete and link what is in those below. */
async function makeBase({ scratch, folder, slipway }: World): Promise<void> {
  const contents = new Map(
    ['data/kept', 'data/old', 'more/one', 'more/two'].map(name => [name, randomBytes(LARGE_BYTES)]),
  )
  const context = await folder('large', { removed: 'x', Dockerfile: '' })
  for (const [name, bytes] of contents) {
    await folder('large', { [name]: '' })
    await writeFile(join(context, name), bytes)
  }
  const sums = [...contents, ['linked', contents.get('more/one') ?? assert.fail()] as const]
    .filter(([name]) => name !== 'data/old')
    .map(([name, bytes]) => `${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`)
  await folder('large', {
    sums: sums.join(''),
    Dockerfile: `FROM base:1
COPY data /data
COPY removed sums /
COPY more /more
RUN rm /removed /data/old && ln /more/one /linked && ln -s kept /data/link
`,
  })
  await slipway.run(['build', '--network=host', '-t', 'large', join(scratch, 'large')])
}

function forward(
  host: string,
  asking: IncomingMessage,
  response: ServerResponse,
  between: Between | undefined,
): void {
  const { method, headers, url = '' } = asking
  const outgoing = request(`http://${host}${url}`, { method, headers }, answer => {
    const { statusCode = 500, headers: told } = answer
    response.writeHead(statusCode, told)
    const isLarge =
      method === 'GET' && url.includes('/blobs/') && Number(told['content-length']) > LARGE_BYTES
    if (between === undefined || !isLarge) {
      answer.pipe(response)
      return
    }
    const chunks: Buffer[] = []
    answer.on('data', chunk => chunks.push(chunk))
    answer.on('end', () => between(asking, Buffer.concat(chunks), response))
  })
  outgoing.on('error', () => response.destroy())
  outgoing.end()
}

function snapshots({ root }: Slipway): readonly string[] {
  const [boot = ''] = readdirSync(join(root, 'snapshots'))
  return readdirSync(join(root, 'snapshots', boot)).filter(name => /^[0-9a-f]{64}$/.test(name))
}

function unfinished({ root }: Slipway): readonly string[] {
  return readdirSync(join(root, 'snapshots'), { recursive: true })
    .map(String)
    .filter(name => /tmp-[0-9a-f]+$/.test(name))
}
