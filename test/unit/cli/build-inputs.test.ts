import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import {
  findContext,
  findDockerfile,
  parseBuildArgs,
  parseEpoch,
  parseLabels,
} from '../../../src/cli/build-inputs.ts'
import { fakeTerminal, silentInput } from './fake-terminal.ts'

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

  for (const context of ['-', 'https://x.org/a.git', 'git@x.org:a', 'github.com/a/b']) {
    it(`refuses ${context} by name`, async () => {
      await assert.rejects(findContext(context, terminal()), { code: 'usage', message: /not supported yet/ })
    })
  }
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

describe('parseEpoch()', () => {
  it('reads seconds, and refuses the rest', () => {
    assert.equal(parseEpoch(undefined), undefined)
    assert.equal(parseEpoch(''), undefined)
    assert.equal(parseEpoch('0'), 0)
    assert.equal(parseEpoch('1700000000'), 1_700_000_000)
    for (const text of ['-1', '1.5', 'now', '9999999999999'])
      assert.throws(() => parseEpoch(text), { code: 'usage', message: /SOURCE_DATE_EPOCH/ })
  })
})
