import assert from 'node:assert/strict'
import { utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { readImage } from './support/image-contents.ts'
import { type Outcome, run as runProgram } from './support/process.ts'
import type { Served } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

describe('RUN --mount', { skip: cannotRun({ root: true, programs: ['runc', 'skopeo', 'umoci'] }) }, () => {
  let world: World
  let served: Served
  let count = 0

  before(async () => {
    world = await createWorld({ base: true })
    served = await world.slipway.serve()
  })
  after(async () => {
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  const contextOf = (lines: readonly string[], files: Readonly<Record<string, string>> = {}) =>
    world.folder(`context-${++count}`, { Dockerfile: `FROM base:1\n${lines.join('\n')}\n`, ...files })

  const tryBuild = (context: string, ...options: string[]): Promise<Outcome> =>
    world.slipway.try(['build', '--progress=plain', '-t', `app:${count}`, ...options, context])

  async function build(context: string, ...options: string[]): Promise<string> {
    const { code, stderr } = await tryBuild(context, ...options)
    assert.equal(code, 0, stderr)
    return stderr
  }

  /** Paths that the image has and its base has not, with those that it changed. */
  async function added(): Promise<readonly string[]> {
    const read = async (name: string) =>
      (await readImage(`docker://${served.host}/${name}`, join(world.scratch, name.replace(':', '-')))).tree
    const base = await read('base:1')
    const image = await read(`app:${count}`)
    return [...image]
      .filter(([path, file]) => JSON.stringify(base.get(path)) !== JSON.stringify(file))
      .map(([path]) => path)
      .filter(path => !['etc', 'dev', 'proc', 'sys'].includes(path.replace(/^\.?\//, '')))
  }

  const isCached = (printed: string, command: RegExp): boolean => {
    const number = new RegExp(`^#(\\d+) \\[[^\\]]*\\] ${command.source}`, 'm').exec(printed)?.[1]
    assert.ok(number, printed)
    return new RegExp(`^#${number} CACHED`, 'm').test(printed)
  }

  it('semantics 65: a tmpfs takes what is written, and leaves nothing, of its mount point either', async () => {
    await build(
      await contextOf([
        'RUN --mount=type=tmpfs,target=/new/deep,size=1m --mount=type=tmpfs,target=/bin/x \\',
        '  stat -f -c %T /new/deep | grep tmpfs && touch /new/deep/f /bin/x/f \\',
        '  && ! dd if=/dev/zero of=/new/deep/big bs=1024 count=2048',
      ]),
    )
    assert.deepEqual(await added(), [])
  })

  it('semantics 68: a relative target lies in the working directory, and the root is refused', async () => {
    await build(
      await contextOf(['WORKDIR /w', 'RUN --mount=type=tmpfs,target=t grep " /w/t tmpfs" /proc/mounts']),
    )
    const { code, stderr } = await tryBuild(await contextOf(['RUN --mount=type=tmpfs,target=/ true']))
    assert.equal(code, 2)
    assert.match(stderr, /that is the root directory/)
  })

  it('semantics 64: what a mount hides is there again in the next step', async () => {
    await build(
      await contextOf([
        'RUN mkdir /d && echo kept > /d/f',
        'RUN --mount=type=tmpfs,target=/d test ! -e /d/f && echo gone > /d/f',
        'RUN grep kept /d/f',
      ]),
    )
    assert.deepEqual(await added(), ['d', 'd/f'])
  })

  it('semantics 66: a bind shows the context as COPY sees it; writes need rw and are lost', async () => {
    const context = await contextOf(
      [
        'RUN --mount=target=/c cat /c/a.txt /c/d/b.txt && test ! -e /c/ignored && ! touch /c/x',
        'RUN --mount=target=/c,rw echo new > /c/a.txt && touch /c/x && stat -c %u:%g /c/a.txt | grep 0:0',
        'RUN --mount=type=bind,source=d,target=/c grep b /c/b.txt && test ! -e /c/a.txt',
        'RUN --mount=type=bind,source=a.txt,target=/one/file grep a /one/file',
        'RUN --mount=type=bind,source=s[1]*,target=/file grep star /file',
      ],
      { 'a.txt': 'a', 'd/b.txt': 'b', ignored: '', 's[1]*': 'star', '.dockerignore': 'ignored\n' },
    )
    await build(context)
    assert.deepEqual(await added(), [])
  })

  it('a bind from a directory of --build-context is a bind of that context', async () => {
    const other = await world.folder('other-context', {
      'd/f': 'one',
      ignored: '',
      '.dockerignore': 'ignored',
    })
    const context = await contextOf([
      'RUN --mount=from=other,target=/o --mount=from=other,source=d/f,target=/f,rw \\',
      '  test ! -e /o/ignored && grep one /o/d/f && echo two > /f && grep one /o/d/f && ! touch /o/x',
    ])
    const options = ['--build-context', `other=${other}`] as const
    const printed = await build(context, ...options)
    assert.deepEqual(await added(), [])
    assert.doesNotMatch(printed, /load files/)
    assert.equal(isCached(await build(context, ...options), /RUN --mount=from=other/), true)
    const missing = await contextOf(['RUN --mount=from=other,source=ignored,target=/i true'])
    const { code, stderr } = await tryBuild(missing, ...options)
    assert.equal(code, 1)
    assert.match(stderr, /\.dockerignore excludes "ignored"/)
  })

  it('semantics 68: each of nested binds is read again when its source changes', async () => {
    const context = await contextOf(
      [
        'RUN --mount=source=d,target=/tmp/t --mount=source=f,target=/tmp/t/new/f cat /tmp/t/b /tmp/t/new/f',
        'RUN --mount=source=other,target=/o true',
      ],
      { 'd/b': '1', f: '1', other: '1' },
    )
    await build(context)
    for (const file of ['d/b', 'f']) {
      utimesSync(join(context, file), 1e9, 1e9)
      assert.equal(isCached(await build(context), /RUN --mount=source=d/), true)
      writeFileSync(join(context, file), '22')
      const printed = await build(context)
      assert.equal(isCached(printed, /RUN --mount=source=d/), false, file)
      assert.equal(isCached(printed, /RUN --mount=source=other/), true)
    }
    assert.deepEqual(await added(), [])
  })

  it('semantics 100: a bind from a stage or an image is keyed by what it shows', async () => {
    const lines = (shown: string, hidden: string) =>
      [
        'FROM base:1 AS made',
        `RUN mkdir -p /out && echo ${shown} > /out/f && echo ${hidden} > /hidden && ln -s / /out/root`,
        'FROM base:1',
        'RUN --mount=from=made,source=/out,target=/m cat /m/f && test "$(readlink /m/root)" = /',
        'RUN --mount=from=base:1,target=/b test -e /b/bin/busybox',
        '',
      ].join('\n')
    const context = await contextOf([])
    const write = (shown: string, hidden: string) =>
      writeFileSync(join(context, 'Dockerfile'), lines(shown, hidden))
    write('1', '1')
    await build(context)
    assert.deepEqual(await added(), [])
    write('1', '2')
    assert.equal(isCached(await build(context), /RUN --mount=from=made/), true)
    write('2', '2')
    assert.equal(isCached(await build(context), /RUN --mount=from=made/), false)
  })

  it('a source that is a symlink does not lead out of its root', async () => {
    const outside = join(world.scratch, 'outside')
    writeFileSync(outside, 'of the host')
    const { code, stderr } = await tryBuild(
      await contextOf([
        `RUN ln -s ${outside} /l`,
        'FROM base:1',
        'RUN --mount=from=0,source=/l,target=/m cat /m',
      ]),
    )
    assert.equal(code, 1)
    assert.match(stderr, /Cannot mount "l": it is not there/)
    assert.doesNotMatch(stderr, /of the host/)
  })

  for (const target of ['/proc', '/proc/self', '/dev', '/sys'])
    it(`refuses to mount over ${target}, also through a symlink`, async () => {
      for (const line of [
        `RUN --mount=type=tmpfs,target=${target} true`,
        `RUN ln -s ${target} /l\nRUN --mount=type=tmpfs,target=/l true`,
      ]) {
        const { code, stderr } = await tryBuild(await contextOf([line]))
        assert.equal(code, 1, stderr)
      }
    })

  it('semantics 66: a cache stays between builds and out of the layer; its owner is for the first step', async () => {
    const add = (word: string) =>
      contextOf([
        `RUN --mount=type=cache,target=/new/cache,mode=0750,uid=7,gid=8 echo ${word} >> /new/cache/words`,
        'RUN --mount=type=cache,target=/other,id=/new/cache,uid=9,ro stat -c "%a %u:%g" /other && cat /other/words \\',
        `  && ! touch /other/x # ${word}`,
      ])
    await build(await add('one'))
    assert.deepEqual(await added(), [])
    const context = await add('two')
    const printed = await build(context)
    assert.match(printed, /750 7:8/)
    assert.match(printed, / one\n.* two\n/)
    assert.deepEqual(await added(), [])
    assert.equal(isCached(await build(context), /RUN --mount=type=cache,target=.other/), true)
  })

  it('semantics 66: a cache outlives --no-cache, not prune; its id and sharing execute nothing again', async () => {
    const line = (id: string) =>
      `RUN --mount=type=cache,target=/pruned,id=${id} echo word >> /pruned/w && wc -l < /pruned/w`
    const count = async (context: string, ...options: string[]) =>
      Array.from((await build(context, ...options)).matchAll(/^#\d+ \S+ (\d+)$/gm), ([, lines]) => lines)
    const context = await contextOf([line('pruned')])
    assert.deepEqual(await count(context), ['1'])
    assert.deepEqual(await count(context, '--no-cache'), ['2'])
    assert.deepEqual(await count(await contextOf([line('other,sharing=locked')])), [])
    assert.match(await world.slipway.run(['prune']), / [1-9]\d* cache mounts?,/)
    assert.deepEqual(await count(context, '--no-cache'), ['1'])
  })

  it('semantics 66: from and source tell what a cache begins with', async () => {
    const context = await contextOf([
      'RUN mkdir -p /d/e && echo seed > /d/e/f && chmod 700 /d && chown 5:6 /d/e/f',
      'FROM base:1',
      'RUN --mount=type=cache,target=/c,from=0,source=/d stat -c "%a" /c | grep 700 && cat /c/e/f && echo more >> /c/e/f',
      'RUN --mount=type=cache,target=/c,from=0,source=/d cat /c/e/f && stat -c %u:%g /c/e/f | grep 5:6',
    ])
    assert.match(await build(context), / seed\n(.*\n)*.* seed\n.* more\n/)
    assert.deepEqual(await added(), [])
  })

  it('semantics 66: of steps at one time, a locked cache serves one, a private one is for each', async () => {
    const stages = (sharing: string, script: string) =>
      contextOf([
        ...['a', 'b'].flatMap(name => [
          `FROM base:1 AS ${name}`,
          `RUN --mount=type=cache,target=/c,id=${sharing}-${count},sharing=${sharing} ${script} && echo ${name} > /${name}`,
        ]),
        'FROM base:1',
        'COPY --from=a /a /',
        'COPY --from=b /b /',
      ])
    await build(await stages('locked', 'mkdir /c/busy && sleep 1 && rmdir /c/busy'))
    await build(await stages('private', 'mkdir /c/busy && sleep 1'))
    const both = 'i=0; until test "$(ls /c | wc -l)" = 2; do i=$((i+1)); test $i -lt 20; sleep 1; done'
    await build(await stages('shared', `touch "/c/$(cat /proc/sys/kernel/random/uuid)" && (set -e; ${both})`))
  })

  it('semantics 67: a secret is read-only in memory, and neither in the image nor in the store', async () => {
    const file = join(world.scratch, 'secret-file')
    writeFileSync(file, 'hush-in-file')
    const lines = (more: string) =>
      contextOf([
        'RUN --mount=type=secret,id=a test "$(cat /run/secrets/a)" = hush-in-file && grep "/run/secrets/a tmpfs" /proc/mounts \\',
        `  && stat -c "%a %u:%g" /run/secrets/a | grep "^400 0:0$" && ! echo x > /run/secrets/a && touch /ran ${more}`,
        'RUN --mount=type=secret,id=a,env=A --mount=type=secret,id=b,target=t,mode=0444,uid=5 test "$A" = hush-in-file \\',
        '  && test ! -e /run/secrets/a && test "$(cat /t)" = hush-""in-env && stat -c "%a %u" /t | grep "444 5"',
        'RUN --mount=type=secret,id=none test ! -e /run/secrets/none',
      ])
    const options = ['--secret', `id=a,src=${file}`, '--secret', 'id=b,env=HUSH']
    const context = await lines('')
    const env = { HUSH: 'hush-in-env' }
    const run = () =>
      world.slipway.try(['build', '--progress=plain', '-t', `app:${count}`, ...options, context], { env })
    const first = await run()
    assert.equal(first.code, 0, first.stderr)
    assert.deepEqual(await added(), ['ran'])
    writeFileSync(file, 'another')
    assert.equal(isCached((await run()).stderr, /RUN --mount=type=secret,id=a test/), true)
    const found = await world.slipway.run(['inspect', `app:${count}`])
    assert.doesNotMatch(found + first.stderr, /hush-in-env/)
    const grep = await runProgram('grep', ['-r', '-l', '-e', 'hush-in-env', world.slipway.root])
    assert.equal(grep.stdout, '')
  })

  it('semantics 67: a secret that is required and missing stops the build', async () => {
    const { code, stderr } = await tryBuild(
      await contextOf(['RUN --mount=type=secret,id=none,required true']),
    )
    assert.equal(code, 1)
    assert.match(stderr, /Cannot mount secret "none": nobody gave it/)
  })

  it('semantics 13: a heredoc that begins with #! is run as a program', async () => {
    await build(
      await contextOf([
        'RUN <<EOF',
        '#!/bin/busybox sh',
        'test "$0" = /dev/pipes/EOF && echo made > /made',
        'EOF',
      ]),
    )
    assert.deepEqual(await added(), ['made'])
    assert.match(
      await world.slipway.run(['history', '--format', 'json', `app:${count}`]),
      /RUN \/bin\/sh -c \/dev\/pipes\/EOF # buildkit/,
    )
  })

  it('a source that is missing is an error at the line of the RUN', async () => {
    for (const mount of ['source=none', 'from=base:1,source=none', 'source=no*']) {
      const { code, stderr } = await tryBuild(await contextOf(['', `RUN --mount=target=/c,${mount} true`]))
      assert.equal(code, 1)
      assert.match(stderr, /> 3 \| RUN --mount/)
      assert.match(stderr, /not found in the build context|it is not there/)
    }
  })
})
