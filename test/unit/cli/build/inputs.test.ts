import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { pack } from 'tar-stream'
import {
  findContext,
  findDockerfile,
  isElsewhere,
  parseBuildArgs,
  parseBuildContexts,
  parseLabels,
  readEpoch,
  readStandardInput,
} from '../../../../src/cli/build/inputs.ts'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { DEFAULT_LIMITS } from '../../../../src/oci/limits.ts'
import { fakeTerminal, silentInput } from '../fake-terminal.ts'

let folder: string
let empty: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-context-'))
  empty = await mkdtemp(join(tmpdir(), 'slipway-empty-'))
  await writeFile(join(folder, 'dockerfile'), 'FROM lower\n')
  await writeFile(join(folder, 'Dockerfile.dev'), 'FROM dev\n')
})
after(async () => {
  await rm(folder, { recursive: true })
  await rm(empty, { recursive: true })
})

const terminal = () => fakeTerminal({ workingDirectory: folder })

describe('findContext()', () => {
  it('is the directory', async () => assert.equal(await findContext('.', terminal()), folder))

  it('refuses what does not exist', async () => {
    await assert.rejects(findContext('nowhere', terminal()), {
      code: 'usage',
      message: /"nowhere" does not exist/,
    })
  })

  it('knows a Dockerfile that is given for the context', async () => {
    await assert.rejects(findContext('Dockerfile.dev', terminal()), {
      code: 'usage',
      message: /is a file/,
      hint: 'slipway build -f Dockerfile.dev .',
    })
  })
})

describe('isElsewhere()', () => {
  it('is true for URLs and repositories, unless there is a directory of that name', async () => {
    for (const context of ['https://x.org/a.git', 'https://x.org/a.tar', 'git@x.org:a', 'github.com/a/b'])
      assert.equal(isElsewhere(context, terminal()), true, context)
    for (const context of ['.', 'nowhere', './git@x.org:a'])
      assert.equal(isElsewhere(context, terminal()), false)
    await mkdir(join(folder, 'github.com/a/b'), { recursive: true })
    assert.equal(isElsewhere('github.com/a/b', terminal()), false)
    await rm(join(folder, 'github.com'), { recursive: true })
  })
})

describe('findDockerfile()', () => {
  it('finds dockerfile where there is no Dockerfile, and then the other way round', async () => {
    const lower = await findDockerfile(folder, undefined, terminal())
    assert.equal(lower.source.text, 'FROM lower\n')
    assert.equal(lower.source.name, 'dockerfile')
    assert.equal(lower.path, join(folder, 'dockerfile'))
    await writeFile(join(folder, 'Dockerfile'), 'FROM upper\n')
    assert.equal((await findDockerfile(folder, undefined, terminal())).source.text, 'FROM upper\n')
  })

  it('takes a named one from the working directory', async () => {
    assert.equal((await findDockerfile(empty, 'Dockerfile.dev', terminal())).source.text, 'FROM dev\n')
  })

  it('reads one from standard input', async () => {
    const stdin = Readable.from([Buffer.from('FROM '), Buffer.from('stdin\n')])
    const found = await findDockerfile(empty, '-', fakeTerminal({ stdin }))
    assert.deepEqual(found, { source: { name: '-', text: 'FROM stdin\n' } })
  })

  it('stops waiting for standard input when it is interrupted', async () => {
    const interrupt = new AbortController()
    const found = findDockerfile(empty, '-', fakeTerminal({ stdin: silentInput(), signal: interrupt.signal }))
    interrupt.abort()
    await assert.rejects(found, { name: 'AbortError' })
  })

  it('refuses a context without one, and says how to name it', async () => {
    await assert.rejects(findDockerfile(empty, undefined, terminal()), {
      code: 'dockerfile-missing',
      message: /Dockerfile or .*dockerfile/,
      hint: 'name it with -f FILE',
    })
    await assert.rejects(findDockerfile(folder, 'other', terminal()), { code: 'dockerfile-missing' })
  })

  it('refuses a directory, with its name', async () => {
    await assert.rejects(findDockerfile(folder, empty, terminal()), {
      code: 'file-unreadable',
      message: `Cannot read ${empty}: it is a directory`,
    })
  })
})

describe('readStandardInput()', () => {
  const read = (content: Buffer, dockerfile?: string) =>
    readStandardInput(
      dockerfile,
      fakeTerminal({ stdin: Readable.from([content]) }),
      join(empty, 'tmp'),
      DEFAULT_LIMITS,
    )

  async function tar(files: Readonly<Record<string, string>>): Promise<Buffer> {
    const archive = pack()
    for (const [name, content] of Object.entries(files)) archive.entry({ name }, content)
    archive.finalize()
    return buffer(archive)
  }

  it('is a Dockerfile alone, without a context', async () => {
    await using input = await read(Buffer.from('FROM scratch\n'))
    assert.deepEqual(input.dockerfile, { source: { name: '-', text: 'FROM scratch\n' } })
    assert.ok(typeof input.context !== 'string')
    assert.deepEqual(await input.context.list(byteStringOf('')), [])
  })

  for (const [name, compress] of [
    ['plain', (bytes: Buffer) => bytes],
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
    ['xz', (bytes: Buffer) => execFileSync('xz', ['-c'], { input: bytes })],
    ['bzip2', (bytes: Buffer) => execFileSync('bzip2', ['-c'], { input: bytes })],
  ] as const) {
    it(`is a ${name} tar with the Dockerfile in it`, async () => {
      const bytes = compress(await tar({ Dockerfile: 'FROM a\n', 'sub/Other': 'FROM b\n' }))
      await using input = await read(bytes)
      assert.equal(input.dockerfile.source.text, 'FROM a\n')
      await using other = await read(bytes, './sub/Other')
      assert.deepEqual(other.dockerfile.source, { name: 'sub/Other', text: 'FROM b\n' })
    })
  }

  it('refuses a tar without the Dockerfile, and what is cut off', async () => {
    const bytes = await tar({ file: 'x'.repeat(2000) })
    await assert.rejects(read(bytes), { code: 'dockerfile-missing', message: /Dockerfile or dockerfile/ })
    await assert.rejects(read(bytes, '../../nowhere'), { code: 'dockerfile-missing' })
    await assert.rejects(read(bytes.subarray(0, 1000)), { code: 'context-invalid' })
    await assert.rejects(read(gzipSync(bytes).subarray(0, 40)), { code: 'context-invalid' })
  })

  it('refuses --file where it has no meaning', async () => {
    await assert.rejects(read(Buffer.from('FROM a\n'), 'Other'), { code: 'usage' })
    await assert.rejects(read(Buffer.from('FROM a\n'), '-'), { code: 'usage', message: /cannot both/ })
  })

  it('refuses a Dockerfile without an end, and waits for nobody who has interrupted', async () => {
    const chunk = Buffer.alloc(1024 * 1024, '#')
    const stdin = Readable.from(
      (function* () {
        for (;;) yield chunk
      })(),
    )
    await assert.rejects(readStandardInput(undefined, fakeTerminal({ stdin }), empty, DEFAULT_LIMITS), {
      code: 'limit-exceeded',
      message: /dockerfile-bytes = 16777216/,
    })
    const interrupt = new AbortController()
    const waiting = fakeTerminal({ stdin: silentInput(), signal: interrupt.signal })
    const found = readStandardInput(undefined, waiting, empty, DEFAULT_LIMITS)
    interrupt.abort()
    await assert.rejects(found, { name: 'AbortError' })
  })
})

describe('parseBuildContexts()', () => {
  it('reads every kind of context', async () => {
    const given = [
      'a=.',
      'b=docker-image://debian:12',
      'c=oci-layout://sub/layout:v1',
      'd=oci-layout:///abs',
      `h=oci-layout:///with@sign@${digestOf('image')}`,
      'i=oci-layout:///with@sign:v1',
      'e=target:stage',
      'f=https://x.org/a.tar',
      'g=git@x.org:a#v1',
    ]
    assert.deepEqual(Object.fromEntries(await parseBuildContexts(given, terminal())), {
      a: { kind: 'directory', directory: folder },
      b: { kind: 'image', name: 'debian:12' },
      c: { kind: 'layout', directory: join(folder, 'sub/layout'), tag: 'v1' },
      d: { kind: 'layout', directory: '/abs' },
      e: { kind: 'stage', stage: 'stage' },
      f: { kind: 'remote', location: 'https://x.org/a.tar' },
      g: { kind: 'remote', location: 'git@x.org:a#v1' },
      h: { kind: 'layout', directory: '/with@sign', digest: digestOf('image') },
      i: { kind: 'layout', directory: '/with@sign', tag: 'v1' },
    })
    await assert.rejects(parseBuildContexts(['a=oci-layout:///b@sha256:12'], terminal()), {
      code: 'digest-invalid',
    })
  })

  for (const text of ['a', '=x', 'a=', 'a=nowhere', 'a=-'])
    it(`refuses ${text}`, () => assert.rejects(parseBuildContexts([text], terminal()), { code: 'usage' }))
})

for (const [text, missing] of [
  ['a=docker-image://', /docker-image:\/\/ needs the name of an image/],
  ['a=oci-layout://', /oci-layout:\/\/ needs a directory/],
  ['a=target:', /target: needs the name of a stage/],
] as const)
  it(`parseBuildContexts() says what is missing in ${text}`, () =>
    assert.rejects(parseBuildContexts([text], terminal()), { code: 'usage', message: missing }))

describe('parseBuildArgs()', () => {
  it('takes values as they are, the last one of a name, and values of the environment', () => {
    const args = parseBuildArgs(['A=1', 'B=x=y', 'C=', 'A=2', 'HOME', 'UNSET'], { HOME: '/h' })
    assert.deepEqual(
      [...args],
      [
        ['A', '2'],
        ['B', 'x=y'],
        ['C', ''],
        ['HOME', '/h'],
      ],
    )
  })

  for (const argument of ['', '=x']) {
    it(`refuses ${JSON.stringify(argument)}`, () => {
      assert.throws(() => parseBuildArgs([argument], {}), { code: 'usage', message: /has no name/ })
    })
  }
})

describe('parseLabels()', () => {
  it('reads names and values', () => {
    assert.deepEqual(
      [...parseLabels(['a=1', 'b', 'c=x=y'])],
      [
        ['a', '1'],
        ['b', ''],
        ['c', 'x=y'],
      ],
    )
    assert.throws(() => parseLabels(['=x']), { code: 'usage' })
  })
})

describe('readEpoch()', () => {
  it('reads seconds, of the build args or else of the environment, and refuses anything else', () => {
    const read = (...given: string[]) => readEpoch(parseBuildArgs(given, { SOURCE_DATE_EPOCH: '5' }))
    assert.equal(readEpoch(parseBuildArgs([], {})), undefined)
    assert.equal(readEpoch(parseBuildArgs([], { SOURCE_DATE_EPOCH: '' })), undefined)
    assert.equal(read(), 5)
    assert.equal(read('SOURCE_DATE_EPOCH'), 5)
    assert.equal(read('SOURCE_DATE_EPOCH='), undefined)
    assert.equal(read('SOURCE_DATE_EPOCH=0'), 0)
    assert.equal(read('SOURCE_DATE_EPOCH=1700000000'), 1_700_000_000)
    for (const text of ['-1', '1.5', 'context', '2020-01-01', '1'.repeat(20)])
      assert.throws(() => read(`SOURCE_DATE_EPOCH=${text}`), { code: 'usage', message: /SOURCE_DATE_EPOCH/ })
  })
})
