import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { BuildError } from '../../../../src/builder/errors.ts'
import { isInputElsewhere, type RemoteInputDeps, readInput } from '../../../../src/cli/build/remote-input.ts'
import type { Terminal } from '../../../../src/cli/terminal.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { DEFAULT_LIMITS } from '../../../../src/oci/limits.ts'
import { tarOf } from '../../builder/ops/fixture.ts'
import { fakeTerminal } from '../fake-terminal.ts'

const FLAGS = { buildArgs: new Map<string, string>() }
const URL_OF_FILE = 'https://me:secret@x.test/Other'

describe('readInput()', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'slipway-remote-input-'))
    writeFileSync(join(folder, 'Dockerfile'), 'FROM local\n')
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** @param files by URL */
  const deps = (
    files: Readonly<Record<string, Buffer>>,
    changes: Partial<Terminal> = {},
  ): RemoteInputDeps => ({
    terminal: fakeTerminal({ workingDirectory: folder, ...changes }),
    temporaryDirectory: folder,
    contentLimits: DEFAULT_LIMITS,
    progress: { sink: () => undefined, finish: () => undefined },
    sources: {
      downloads: {
        async get(url) {
          const content = files[url.href]
          if (content === undefined) throw new BuildError('download-failed', `no ${url.href}`)
          return { digest: digestOf(content), size: content.length, open: async () => content }
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      git: {
        resolve: () => Promise.reject(new Error('not needed')),
        open: () => Promise.reject(new Error('not needed')),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
    },
  })
  const remote = { [URL_OF_FILE]: Buffer.from('FROM remote\n') }

  it('takes a Dockerfile at a URL for a directory, without its password in the name', async () => {
    assert.ok(isInputElsewhere('.', URL_OF_FILE, fakeTerminal({ workingDirectory: folder })))
    await using input = await readInput('.', URL_OF_FILE, FLAGS, deps(remote))
    assert.equal(input.context, folder)
    assert.deepEqual(input.dockerfile, { source: { name: 'https://x.test/Other', text: 'FROM remote\n' } })
  })

  it('takes one for a tar on standard input, which need not have any', async () => {
    const stdin = Object.assign(Readable.from([await tarOf({ a: { content: 'a' } })]), { isTTY: false })
    await using input = await readInput('-', URL_OF_FILE, FLAGS, deps(remote, { stdin }))
    assert.equal(input.dockerfile.source.text, 'FROM remote\n')
  })

  it('does not choose between it and one on standard input', async () => {
    const stdin = Object.assign(Readable.from([Buffer.from('FROM stdin\n')]), { isTTY: false })
    await assert.rejects(readInput('-', URL_OF_FILE, FLAGS, deps(remote, { stdin })), {
      code: 'usage',
      message: /two Dockerfiles/,
    })
  })

  it('takes an absolute path, and a URL, for a context that is elsewhere', async () => {
    const context = 'https://x.test/context.tar'
    const files = { ...remote, [context]: await tarOf({ Dockerfile: { content: 'FROM inside\n' } }) }
    for (const [named, text] of [
      [join(folder, 'Dockerfile'), 'FROM local\n'],
      [URL_OF_FILE, 'FROM remote\n'],
      ['Dockerfile', 'FROM inside\n'],
    ] as const) {
      await using input = await readInput(context, named, FLAGS, deps(files))
      assert.equal(input.dockerfile.source.text, text)
    }
  })

  it('says what is no URL, what is not there, and what is no Dockerfile by its size', async () => {
    await assert.rejects(readInput('.', 'http://', FLAGS, deps({})), {
      code: 'dockerfile-missing',
      message: /"http:\/\/" is not a URL/,
    })
    await assert.rejects(readInput('.', URL_OF_FILE, FLAGS, deps({})), { code: 'download-failed' })
    const large = { [URL_OF_FILE]: Buffer.alloc(16 * 1024 * 1024 + 1, '#') }
    await assert.rejects(readInput('.', URL_OF_FILE, FLAGS, deps(large)), { code: 'limit-exceeded' })
  })
})
