import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { BuildError } from '../../../src/builder/errors.ts'
import { NO_LIMITS } from '../../../src/builder/exec/limits.ts'
import type { Reason } from '../../../src/builder/solve/explain.ts'
import { parseReference, repositoryOf, type Tag } from '../../../src/oci/reference.ts'
import { executed, openWorkshop, readText, type Workshop } from './building.ts'
import { createRegistry } from './images/memory-registry.ts'

const DOCKERFILE = `FROM scratch AS build
WORKDIR /src
COPY a b /src/
RUN make
LABEL step=built
FROM scratch
COPY --from=build /src/a /made /out/
CMD ["/out/made"]
`

describe('build()', () => {
  it('an unchanged build executes nothing, writes nothing, and gives the same image', async () => {
    using workshop = await example()
    const { logs, ...first } = await workshop.build(DOCKERFILE, { tag: 'app:1' })
    assert.ok(logs)
    assert.deepEqual(executed(workshop.events), [
      'WORKDIR /src',
      'COPY a b /src/',
      'RUN make',
      'COPY --from=build /src/a /made /out/',
    ])
    workshop.events.length = 0
    const before = workshop.storeFiles()
    const second = await workshop.build(DOCKERFILE, { tag: 'app:1' })
    assert.deepEqual(second, first)
    assert.deepEqual(executed(workshop.events), [])
    assert.deepEqual(workshop.storeFiles(), before)
    assert.equal(workshop.processes.length, 1)
  })

  it('semantics 97: a new time of a file changes nothing, a new mode does', async () => {
    using workshop = await example()
    const first = await workshop.build(DOCKERFILE)
    workshop.events.length = 0
    utimesSync(join(workshop.context, 'a'), 5, 5)
    const touched = await workshop.build(DOCKERFILE)
    assert.deepEqual(executed(workshop.events), [])
    assert.equal(touched.digest, first.digest)
    chmodSync(join(workshop.context, 'a'), 0o700)
    workshop.events.length = 0
    await workshop.build(DOCKERFILE)
    assert.deepEqual(executed(workshop.events), [
      'COPY a b /src/',
      'RUN make',
      'COPY --from=build /src/a /made /out/',
    ])
  })

  it('semantics 98: a file that no step selects changes nothing', async () => {
    using workshop = await example()
    await workshop.build(DOCKERFILE)
    workshop.events.length = 0
    workshop.write('other', 'x')
    await workshop.build(DOCKERFILE)
    assert.deepEqual(executed(workshop.events), [])
  })

  it('a step that ran again with the same outcome disturbs nothing after it', async () => {
    using workshop = await example()
    await workshop.build(DOCKERFILE)
    workshop.events.length = 0
    workshop.write('b', 'changed, but not copied further')
    await workshop.build(DOCKERFILE)
    assert.deepEqual(executed(workshop.events), ['COPY a b /src/', 'RUN make'])
  })

  it('semantics 104: new metadata executes nothing', async () => {
    using workshop = await example()
    const first = await workshop.build(DOCKERFILE)
    workshop.events.length = 0
    const second = await workshop.build(DOCKERFILE.replace('CMD', 'ENTRYPOINT').replace('built', 'again'))
    assert.deepEqual(executed(workshop.events), [])
    assert.notEqual(second.imageID, first.imageID)
  })

  it('--no-cache-filter executes the steps of the stages that it names, by name or index', async () => {
    using workshop = await example()
    const run = async (...noCacheStages: string[]) => {
      workshop.events.length = 0
      const { warnings } = await workshop.build(DOCKERFILE, { noCacheStages })
      return { steps: executed(workshop.events), warnings: warnings.map(({ text }) => text) }
    }
    await workshop.build(DOCKERFILE)
    const build = ['WORKDIR /src', 'COPY a b /src/', 'RUN make']
    assert.deepEqual(await run('BUILD'), { steps: build, warnings: [] })
    const last = ['COPY --from=build /src/a /made /out/']
    assert.deepEqual(await run('1'), { steps: last, warnings: [] })
    assert.deepEqual(await run('nope'), {
      steps: [],
      warnings: ['There is no stage nope to build without the cache'],
    })
  })

  it('--no-cache-filter leaves an equal step of another stage cached', async () => {
    using workshop = await example()
    const text =
      'FROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY a /\nFROM scratch\nCOPY --from=one /a /1\nCOPY --from=two /a /2'
    await workshop.build(text)
    workshop.events.length = 0
    await workshop.build(text, { noCacheStages: ['two'] })
    assert.deepEqual(executed(workshop.events), ['COPY a /'])
  })

  it('semantics 16, 59: a named context stands for a stage, an image, or a source', async () => {
    using workshop = await example()
    const other = join(workshop.folder, 'other')
    mkdirSync(other)
    writeFileSync(join(other, 'a'), 'from the other')
    writeFileSync(join(other, 'ignored'), '')
    writeFileSync(join(other, '.dockerignore'), 'ignored')
    const namedContexts = new Map([
      ['other', { kind: 'directory', directory: other } as const],
      ['debian', { kind: 'stage', stage: 'last' } as const],
      ['old', { kind: 'directory', directory: other } as const],
    ])
    const dest = join(workshop.folder, 'out')
    const outputs = [{ type: 'local', dest }] as const
    const text = `FROM scratch AS old
RUN never
FROM scratch AS end
COPY --from=other . /x/
COPY --from=docker.io/library/debian:latest /b /
COPY --from=OLD /a /old
FROM scratch AS last
COPY b /`
    await workshop.build(text, { namedContexts, outputs, target: 'end' })
    assert.equal(readText(join(dest, 'x/a')), 'from the other')
    assert.equal(readText(join(dest, 'old')), 'from the other')
    assert.ok(readText(join(dest, 'b')) !== '')
    assert.throws(() => readText(join(dest, 'x/ignored')), { code: 'ENOENT' })
    assert.equal(workshop.processes.length, 0)
    workshop.events.length = 0
    await workshop.build(text, { namedContexts, outputs, target: 'end' })
    assert.deepEqual(executed(workshop.events), [])
  })

  it('reads of a directory that --from names what it copies, and nothing else', async () => {
    using workshop = await example()
    const other = join(workshop.folder, 'other')
    mkdirSync(other)
    writeFileSync(join(other, 'a'), '1')
    const namedContexts = new Map([['other', { kind: 'directory', directory: other } as const]])
    const text = 'FROM scratch\nCOPY --from=other a /'
    const first = await workshop.build(text, { namedContexts })
    writeFileSync(join(other, 'large'), 'x'.repeat(100_000))
    workshop.events.length = 0
    assert.equal((await workshop.build(text, { namedContexts })).digest, first.digest)
    assert.deepEqual(executed(workshop.events), [])
    await assert.rejects(workshop.build('FROM scratch\nCOPY --from=other b /', { namedContexts }), {
      code: 'source-missing',
    })
  })

  it('builds on a directory that a named context gives', async () => {
    using workshop = await example()
    const namedContexts = new Map([['base', { kind: 'directory', directory: workshop.context } as const]])
    const result = await workshop.build('FROM base\nCOPY a /c', { namedContexts })
    const { history } = await workshop.config(result)
    const { layers } = await workshop.manifest(result)
    assert.equal(history.filter(entry => entry.empty_layer !== true).length, layers.length)
    assert.equal(layers.length, 2)
  })

  it('builds on an image in an OCI layout', async () => {
    using workshop = await example()
    const directory = join(workshop.folder, 'layout')
    await workshop.build('FROM scratch\nCOPY a /\nENV x=y', {
      tag: 'app:1',
      outputs: [{ type: 'oci', dest: directory, tar: false }],
    })
    const named = (tag: string) => new Map([['alpine', { kind: 'layout', directory, tag } as const]])
    const result = await workshop.build('FROM alpine', { namedContexts: named('1') })
    assert.ok((await workshop.config(result)).config.Env?.includes('x=y'))
    await assert.rejects(workshop.build('FROM alpine', { namedContexts: named('2') }), {
      code: 'content-missing',
    })
  })

  it('check=error=true builds nothing of a Dockerfile that a rule finds fault with', async () => {
    using workshop = await example()
    const text = 'FROM scratch\nCOPY a /\nCMD sh'
    assert.equal((await workshop.build(text)).warnings[0]?.rule, 'JSONArgsRecommended')
    workshop.events.length = 0
    await assert.rejects(workshop.build(`# check=error=true\n${text}`), {
      code: 'check-failed',
      message: /JSONArgsRecommended/,
    })
    assert.deepEqual(executed(workshop.events), [])
    await workshop.build(`# check=skip=JSONArgsRecommended;error=true\n${text}`)
  })

  it('explains why each step ran', async () => {
    using workshop = await example()
    const explain = async (text: string, options: Parameters<typeof workshop.build>[1] = {}) => {
      const reasons: string[] = []
      await workshop.build(text, options, {
        explain({ name, reason }) {
          const instruction = name.replace(/^\[[^\]]*\] /, '')
          reasons.push(
            `${instruction.split(' ')[0]} ${reason.kind === 'changed' ? changes(reason) : reason.kind}`,
          )
        },
      })
      return reasons
    }
    const text = 'FROM scratch\nCOPY a b /src/\nRUN make\nRUN make'
    assert.deepEqual(await explain(text), ['COPY no-record', 'RUN no-record', 'RUN no-record'])
    assert.deepEqual(await explain(text), [])
    workshop.write('b', 'other')
    assert.deepEqual(await explain(text), ['COPY b', 'RUN parent', 'RUN parent'])
    assert.deepEqual(await explain(text.replace('RUN make', 'ENV x=y\nRUN make')), [
      'RUN variable',
      'RUN variable',
    ])
    assert.deepEqual(await explain('FROM scratch\nCOPY a b /src/\nRUN make all'), ['RUN argument'])
    assert.deepEqual(await explain(text, { noCache: true }), [
      'COPY no-cache',
      'RUN no-cache',
      'RUN no-cache',
    ])
  })

  it('--no-cache executes every step again', async () => {
    using workshop = await example()
    await workshop.build(DOCKERFILE)
    workshop.events.length = 0
    await workshop.build(DOCKERFILE, { noCache: true })
    assert.equal(executed(workshop.events).length, 4)
  })

  it('semantics 82: dates new history by its layers, what has none by the layer before it', async () => {
    using workshop = await example()
    const result = await workshop.build('FROM scratch\nENV a=b\nCOPY a /\nLABEL c=d\nCOPY b /\nCMD ["x"]')
    const { history, created } = await workshop.config(result)
    const times = history.map(entry => entry.created)
    const [first, , , second] = [times[1], times[1], times[1], times[3]]
    assert.deepEqual(times, [first, first, first, second, second])
    assert.ok(first !== undefined && second !== undefined && first < second)
    assert.equal(created, second)
    assert.deepEqual(
      history.map(entry => entry.empty_layer ?? false),
      [true, false, true, false, true],
    )
  })

  it('an image that has no layer has no time either, so that it too is the same each time', async () => {
    using workshop = await openWorkshop()
    const first = await workshop.build('FROM scratch\nLABEL a=b')
    assert.equal((await workshop.config(first)).created, undefined)
    assert.equal((await workshop.build('FROM scratch\nLABEL a=b')).digest, first.digest)
  })

  it('SOURCE_DATE_EPOCH makes equal images in different stores', async () => {
    const digests: string[] = []
    for (const clock of [Date.UTC(2026, 1), Date.UTC(2030, 1)]) {
      using workshop = await example()
      workshop.clock = clock
      for (const name of ['a', 'b']) utimesSync(join(workshop.context, name), 1_000, 1_000)
      const text = 'FROM scratch\nWORKDIR /w\nCOPY a b /x/\nCOPY <<E /y\ninline\nE\nLABEL a=b'
      const result = await workshop.build(text, {}, { sourceDateEpoch: 1_600_000_000 })
      digests.push(result.digest)
      assert.equal((await workshop.config(result)).created, '2020-09-13T12:26:40Z')
    }
    assert.equal(digests[0], digests[1])
  })

  it('pairs every layer with a history entry, also of steps that change nothing (semantics 81)', async () => {
    using workshop = await openWorkshop()
    const result = await workshop.build('FROM scratch\nRUN true\nWORKDIR /\nRUN true')
    const { history, rootfs } = await workshop.config(result)
    const { layers } = await workshop.manifest(result)
    assert.equal(rootfs.diff_ids.length, 2)
    assert.equal(layers.length, 2)
    assert.equal(history.filter(entry => entry.empty_layer !== true).length, 2)
  })

  it('names the image in the store, and builds on it by that name', async () => {
    using workshop = await example()
    const base = await workshop.build('FROM scratch\nCOPY a /\nENV x=1', { tag: 'team/base:2' })
    assert.equal(tagged(workshop, 'team/base:2'), base.digest)
    const child = await workshop.build('FROM team/base:2\nCOPY b /', { tag: 'child' })
    assert.equal(tagged(workshop, 'child:latest'), child.digest)
    const { config, history } = await workshop.config(child)
    assert.ok(config.Env?.includes('x=1'))
    assert.deepEqual(
      history.map(entry => entry.created_by),
      ['COPY a / # buildkit', 'ENV x=1', 'COPY b / # buildkit'],
    )
    const pinned = await workshop.build(`FROM team/base@${base.digest}\nCOPY b /`)
    assert.equal(pinned.digest, child.digest)
  })

  it('fetches the layers of a base when something reads them, and for the store at the end', async () => {
    using workshop = await example()
    const registry = createRegistry()
    workshop.remote = registry
    const base = await registry.publish('docker.io/library/debian', '12', [
      { os: 'linux', architecture: 'amd64' },
    ])
    const text = 'FROM debian:12\nLABEL a=b'
    await workshop.build(text, { outputs: [{ type: 'cacheonly' }] })
    assert.equal(registry.opened.includes('layer'), false)
    const result = await workshop.build(text, { tag: 'app' })
    assert.equal(registry.opened.filter(kind => kind === 'layer').length, 2)
    for (const layer of (await workshop.manifest(result)).layers)
      assert.ok(await workshop.store.content.stat(layer.digest))
    assert.equal(tagged(workshop, 'docker.io/library/debian:12'), base.digest)
    registry.isDown = true
    assert.equal((await workshop.build(text, { tag: 'app' })).digest, result.digest)
  })

  it('a registry that fails in the middle is an error at the line that needed the layer', async () => {
    using workshop = await example()
    const registry = createRegistry()
    workshop.remote = registry
    await registry.publish('docker.io/library/debian', '12', [{ os: 'linux', architecture: 'amd64' }])
    const text = 'FROM debian:12\nRUN x'
    const progress = (event: { readonly kind: string }): void => {
      if (event.kind === 'done') registry.isDown = true
    }
    await assert.rejects(workshop.build(text, {}, { progress }), (error: unknown) => {
      assert.ok(error instanceof BuildError)
      assert.equal(error.code, 'image-unavailable')
      assert.equal(error.span?.startLine, 2)
      return true
    })
  })

  it('a failing RUN has its place, its exit code and its last lines, and moves no name', async () => {
    using workshop = await example()
    const first = await workshop.build(DOCKERFILE, { tag: 'app:1' })
    workshop.play = () => 7
    await assert.rejects(
      workshop.build(DOCKERFILE.replace('RUN make', 'RUN make more'), { tag: 'app:1' }),
      (error: unknown) => {
        assert.ok(error instanceof BuildError)
        assert.equal(error.code, 'run-failed')
        assert.equal(error.exitCode, 7)
        assert.equal(error.span?.startLine, 4)
        const log = (error.detail as { log: string }).log
        assert.deepEqual(error.detail, { exitCode: 7, output: ['working'], log })
        assert.equal(readText(log), 'working\n')
        return true
      },
    )
    assert.equal(tagged(workshop, 'app:1'), first.digest)
  })

  it('runs with what the Dockerfile says, ARGs without a value left out', async () => {
    using workshop = await openWorkshop()
    await workshop.build('FROM scratch\nENV A=1\nARG B=2 C\nWORKDIR /w\nUSER 5:6\nRUN ["x", "y z"]', {
      network: 'none',
      extraHosts: ['db:10.0.0.1', 'v6:fe80::1'],
      buildArgs: new Map([['https_proxy', 'http://p']]),
    })
    const [run] = workshop.processes
    assert.ok(run !== undefined)
    const { env, ...rest } = run
    assert.deepEqual(rest, {
      args: ['x', 'y z'],
      cwd: '/w',
      user: { uid: 5, gid: 6, additionalGids: [6] },
      hostname: 'buildkitsandbox',
      network: 'none',
      extraHosts: ['10.0.0.1\tdb', 'fe80::1\tv6'],
      mounts: [],
      limits: NO_LIMITS,
      isPrivileged: false,
    })
    assert.deepEqual(env.toSorted(), [
      'A=1',
      'B=2',
      'HTTPS_PROXY=http://p',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'https_proxy=http://p',
    ])
  })

  it('semantics 64, 107: proxies and addresses of hosts are not in the cache key', async () => {
    using workshop = await openWorkshop()
    const text = 'FROM scratch\nRUN x'
    await workshop.build(text, { extraHosts: ['db:10.0.0.1'] })
    await workshop.build(text, { extraHosts: ['db:10.0.0.2'], buildArgs: new Map([['http_proxy', 'p']]) })
    assert.equal(workshop.processes.length, 1)
    await workshop.build(text, { extraHosts: ['other:10.0.0.2'] })
    assert.equal(workshop.processes.length, 2)
  })

  it('semantics 107: an ARG makes the RUNs after it other steps, used or not', async () => {
    using workshop = await openWorkshop()
    const text = 'FROM scratch\nRUN first\nARG V=1\nRUN second'
    await workshop.build(text)
    await workshop.build(text, { buildArgs: new Map([['V', '2']]) })
    assert.deepEqual(
      workshop.processes.map(({ args }) => args.at(-1)),
      ['first', 'second', 'second'],
    )
  })

  it('cacheonly names nothing and stores no image', async () => {
    using workshop = await example()
    const result = await workshop.build(DOCKERFILE, { tag: 'app:1', outputs: [{ type: 'cacheonly' }] })
    assert.equal(tagged(workshop, 'app:1'), undefined)
    assert.equal(await workshop.store.content.stat(result.digest), undefined)
  })

  it('a corrupt blob is not built on silently', async () => {
    using workshop = await example()
    const base = await workshop.build('FROM scratch\nCOPY a /', { tag: 'base' })
    const [layer] = (await workshop.manifest(base)).layers
    assert.ok(layer !== undefined)
    const hex = layer.digest.slice(7)
    const path = join(workshop.store.root, 'blobs/sha256', hex.slice(0, 2), hex)
    chmodSync(path, 0o600)
    writeFileSync(path, Buffer.alloc(layer.size, 1))
    await assert.rejects(workshop.build('FROM base\nRUN x'), (error: unknown) => error instanceof Error)
  })

  it('stops when it is told to, before it begins and while a step runs', async () => {
    using workshop = await openWorkshop()
    const controller = new AbortController()
    workshop.play = () => {
      controller.abort(new Error('interrupted'))
      return 0
    }
    const { signal } = controller
    await assert.rejects(workshop.build('FROM scratch\nRUN a\nRUN b', { tag: 'x' }, { signal }), {
      message: 'interrupted',
    })
    assert.equal(workshop.processes.length, 1)
    assert.equal(tagged(workshop, 'x:latest'), undefined)
    await assert.rejects(workshop.build('FROM scratch\nRUN a', {}, { signal }), { message: 'interrupted' })
    assert.equal(workshop.processes.length, 1)
  })

  it('semantics 56: the ignore file of the Dockerfile beats that of the context', async () => {
    using workshop = await example()
    workshop.write('.dockerignore', 'a')
    const text = 'FROM scratch\nCOPY a /'
    await assert.rejects(workshop.build(text), { code: 'source-missing' })
    workshop.write('Dockerfile.dockerignore', 'b')
    await workshop.build(text, { dockerfilePath: join(workshop.context, 'Dockerfile') })
  })

  it('an image has the bytes of its config and layers as its size', async () => {
    using workshop = await example()
    const result = await workshop.build('FROM scratch\nCOPY a /\nCOPY a /')
    const { config, layers } = await workshop.manifest(result)
    assert.equal(layers.length, 2)
    const sizes = new Map(layers.map(layer => [layer.digest, layer.size]))
    assert.equal(
      result.size,
      [...sizes.values()].reduce((sum, size) => sum + size, config.size),
    )
  })
})

async function example(): Promise<Workshop> {
  const workshop = await openWorkshop()
  workshop.write('a', 'content of a')
  workshop.write('b', 'content of b')
  workshop.play = (_process, root) => {
    writeFileSync(join(root, 'made'), 'made by RUN')
    utimesSync(join(root, 'made'), 1_000, 1_000)
    return 0
  }
  return workshop
}

function tagged({ store }: Workshop, name: string): string | undefined {
  const reference = parseReference(name)
  return store.metadata.getTag(repositoryOf(reference), reference.tag ?? ('latest' as Tag))?.digest
}

/** Names of the parts that differ. */
function changes({ before, after }: Extract<Reason, { kind: 'changed' }>): string {
  const old = new Set(before.map(part => JSON.stringify(part)))
  return after.flatMap(part => (old.has(JSON.stringify(part)) ? [] : [part[0]])).join(' ')
}
