import assert from 'node:assert/strict'
import { chmodSync, linkSync, mkdirSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { parseExcludes } from '../../../../src/builder/context/ignore.ts'
import { parseChmod } from '../../../../src/builder/dockerfile/chmod.ts'
import { createCopyOp } from '../../../../src/builder/ops/copy.ts'
import type { CopySpec } from '../../../../src/builder/ops/copy-spec.ts'
import type { Result } from '../../../../src/builder/solve/vertex.ts'
import type { FileTree } from '../../../../src/builder/tree/file-tree.ts'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'
import type { TocEntry } from '../../../../src/oci/layer/toc.ts'
import { Bench, CREATED_AT, type EntryOf } from './fixture.ts'

const SPAN = { source: { name: 'Dockerfile', text: '' }, startLine: 1, endLine: 1 }
const SCRATCH: Result = { chainID: undefined, layers: [] }

let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.dispose())

type Files = Parameters<Bench['localContext']>[0]

/** The last word is the destination; flags come first. */
function specOf(tree: FileTree | undefined, words: readonly string[], workdir = '/'): CopySpec {
  const flag = (name: string) => words.find(word => word.startsWith(`--${name}=`))?.slice(`--${name}=`.length)
  const paths = words.filter(word => !word.startsWith('--'))
  const chown = flag('chown')
  const chmod = flag('chmod')
  const exclude = words.flatMap(word => (word.startsWith('--exclude=') ? [word.slice(10)] : []))
  return {
    origin: tree === undefined ? { kind: 'stage' } : { kind: 'context', tree },
    sources: paths.slice(0, -1).map(path => ({ kind: 'path', path })),
    ...(exclude.length > 0 && { exclude: parseExcludes(exclude, SPAN) }),
    parents: words.includes('--parents'),
    link: words.includes('--link'),
    destination: paths.at(-1) ?? '',
    workdir,
    ...(chown !== undefined && { chown }),
    ...(chmod !== undefined && { chmod: parseChmod(chmod, SPAN) }),
  }
}

async function copy(
  files: Files,
  base: Readonly<Record<string, EntryOf>> | undefined,
  ...words: string[]
): Promise<readonly TocEntry[]> {
  const ignore = words.find(word => word.startsWith('--ignore='))?.slice('--ignore='.length)
  const tree = await bench.localContext(files, ignore)
  const root = base === undefined ? SCRATCH : await bench.root(base)
  return bench.run(createCopyOp(specOf(tree, words), bench.deps), root)
}

async function copyFrom(
  stage: Readonly<Record<string, EntryOf>>,
  base: Readonly<Record<string, EntryOf>>,
  ...words: string[]
): Promise<readonly TocEntry[]> {
  const op = createCopyOp(specOf(undefined, words), bench.deps)
  return bench.run(op, await bench.root(base), await bench.root(stage))
}

const paths = (entries: readonly TocEntry[]) => entries.map(entry => entry.path)
const modes = (entries: readonly TocEntry[]) =>
  Object.fromEntries(entries.map(entry => [entry.path, entry.mode.toString(8)]))
const owners = (entries: readonly TocEntry[]) =>
  Object.fromEntries(entries.map(entry => [entry.path, `${entry.uid}:${entry.gid}`]))

const refuses = (promise: Promise<unknown>, code: string, message: RegExp) =>
  assert.rejects(promise, (error: Error & { code?: string }) => {
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  })

describe('COPY destinations', () => {
  it('semantics 30: a file onto a name, into a directory that is named so, into one that exists', async () => {
    assert.deepEqual(paths(await copy({ f: '1' }, undefined, 'f', '/x')), ['x'])
    assert.deepEqual(paths(await copy({ f: '1' }, undefined, 'f', '/y/')), ['y', 'y/f'])
    assert.deepEqual(paths(await copy({ f: '1' }, { 'd/': {} }, 'f', '/d')), ['d', 'd/f'])
  })

  it('semantics 31: a directory gives its contents, several are merged', async () => {
    const files = { 'd1/a': '1', 'd1/n/b': '2', 'd2/c': '3' }
    assert.deepEqual(paths(await copy(files, undefined, 'd1', 'd2', '/t/')), [
      't',
      't/a',
      't/c',
      't/n',
      't/n/b',
    ])
  })

  it("semantics 32: a new top directory is 0755 0:0 with the source's time, nested ones keep their mode", async () => {
    const tree = await bench.localContext({ 'd/n/': { mode: 0o711 }, 'd/n/f': '1', 'd/': { mode: 0o700 } })
    utimesSync(join(tree.directory, 'd'), 77, 77)
    const entries = await bench.run(createCopyOp(specOf(tree, ['d', '/a/t']), bench.deps), SCRATCH)
    assert.deepEqual(modes(entries), { a: '755', 'a/t': '755', 'a/t/n': '711', 'a/t/n/f': '644' })
    assert.equal(entries[0]?.mtime, CREATED_AT)
    assert.equal(entries[1]?.mtime, 77)
  })

  it('semantics 33: an existing top directory is as it was, existing nested ones take mode and owner', async () => {
    const base = { 'd/': { mode: 0o777, uid: 7, gid: 7 }, 'd/n/': { mode: 0o777, uid: 7, gid: 7 } }
    const entries = await copy({ 'src/n/': { mode: 0o711 } }, base, 'src', '/d')
    assert.deepEqual(modes(entries), { d: '777', 'd/n': '711' })
    assert.deepEqual(owners(entries), { d: '7:7', 'd/n': '0:0' })
  })

  it('names the directories on the way with all that they are: Docker would else give them mode 0755', async () => {
    const xattrs = new Map([['user.a', Buffer.from('1')]])
    const base = { 'tmp/': { mode: 0o1777, uid: 7, mtime: 5, xattrs }, 'tmp/own/': { mode: 0o700 } }
    const [tmp, own, ...rest] = await copy({ a: '1', b: '2' }, base, 'a', 'b', '/tmp/own/new/')
    assert.deepEqual([tmp?.path, tmp?.mode, tmp?.uid, tmp?.mtime], ['tmp', 0o1777, 7, 5])
    assert.equal(Buffer.from(tmp?.xattrs?.get('user.a') ?? []).toString(), '1')
    assert.deepEqual([own?.path, own?.mode], ['tmp/own', 0o700])
    assert.deepEqual(paths(rest), ['tmp/own/new', 'tmp/own/new/a', 'tmp/own/new/b'])
  })

  it('semantics 33: extended attributes of an existing nested directory stay', async () => {
    const base = { 'd/': {}, 'd/n/': { xattrs: new Map([['user.a', Buffer.from('1')]]) } }
    const [, entry] = await copy({ 'src/n/': '' }, base, 'src', '/d')
    assert.equal(Buffer.from(entry?.xattrs?.get('user.a') ?? []).toString(), '1')
  })

  it('semantics 34: implicit parents are 0755 of root, or of --chown', async () => {
    assert.deepEqual(owners(await copy({ f: '1' }, {}, 'f', '/a/b/f')), {
      a: '0:0',
      'a/b': '0:0',
      'a/b/f': '0:0',
    })
    const chowned = await copy({ f: '1' }, {}, '--chown=5:6', 'f', '/a/f')
    assert.deepEqual(owners(chowned), { a: '5:6', 'a/f': '5:6' })
    assert.deepEqual(modes(chowned), { a: '755', 'a/f': '644' })
  })

  it('semantics 35: a numeric --chmod reaches implicit parents, a symbolic one does not', async () => {
    assert.deepEqual(modes(await copy({ f: '1' }, {}, '--chmod=640', 'f', '/a/f')), {
      a: '640',
      'a/f': '640',
    })
    assert.deepEqual(modes(await copy({ f: '1' }, {}, '--chmod=2777', 'f', '/a/f')), {
      a: '755',
      'a/f': '2777',
    })
    assert.deepEqual(modes(await copy({ f: '1' }, {}, '--chmod=u=r,go=', 'f', '/a/f')), {
      a: '755',
      'a/f': '400',
    })
  })

  it('semantics 36: --chmod with X depends on the type, and leaves symlinks alone', async () => {
    const files = { 'd/n/': '', 'd/f': '1', 'd/x': { mode: 0o700, content: '2' }, 'd/l': '->f' }
    const entries = await copy(files, {}, '--chmod=u=rwX,go=rX', 'd', '/t')
    assert.deepEqual(modes(entries), { t: '755', 't/f': '644', 't/l': '777', 't/n': '755', 't/x': '755' })
  })

  it('semantics 39: a relative destination starts at WORKDIR and may leave it', async () => {
    const tree = await bench.localContext({ x: '1' })
    const run = (word: string) =>
      bench.run(createCopyOp(specOf(tree, ['x', word], '/wd'), bench.deps), SCRATCH)
    assert.deepEqual(paths(await run('../up')), ['up'])
    assert.deepEqual(paths(await run('.')), ['wd', 'wd/x'])
    assert.deepEqual(paths(await run('./')), ['wd', 'wd/x'])
    assert.deepEqual(paths(await run('a/.')), ['wd', 'wd/a', 'wd/a/x'])
    assert.deepEqual(paths(await run('../../../../x')), ['x'])
  })

  it('semantics 41: symlinks on the way and at the end are followed inside the root', async () => {
    const base = {
      'real/': {},
      abs: { link: '/real' },
      up: { link: '../../../real' },
      gone: { link: 'new/dir' },
    }
    assert.deepEqual(paths(await copy({ f: '1' }, base, 'f', '/abs')), ['real', 'real/f'])
    assert.deepEqual(paths(await copy({ f: '1' }, base, 'f', '/up/sub/')), ['real', 'real/sub', 'real/sub/f'])
    assert.deepEqual(paths(await copy({ f: '1' }, base, 'f', '/gone/g')), ['new', 'new/dir', 'new/dir/g'])
  })

  it('semantics 41: a symlink to a file is written through, one inside the destination is replaced', async () => {
    const base = {
      'etc/': {},
      'etc/real': { content: 'x' },
      l: { link: 'etc/real' },
      'etc/f': { link: 'real' },
    }
    assert.deepEqual(paths(await copy({ f: '1' }, base, 'f', '/l')), ['etc', 'etc/real'])
    const [, entry] = await copy({ f: '1' }, base, 'f', '/etc/')
    assert.deepEqual([entry?.path, entry?.type], ['etc/f', 'file'])
  })

  it('semantics 41: a destination in circles is refused', async () => {
    const base = { a: { link: 'b' }, b: { link: 'a' } }
    await refuses(copy({ f: '1' }, base, 'f', '/a/x'), 'copy-conflict', /circles/)
  })

  it('semantics 42: a directory does not replace a file, nor a file a directory', async () => {
    await refuses(
      copy({ 'd/f': '1' }, { t: { content: 'x' } }, 'd', '/t'),
      'copy-conflict',
      /"\/t" as a directory/,
    )
    await refuses(copy({ 'd/n/f': '1' }, { 't/n': { content: 'x' } }, 'd', '/t'), 'copy-conflict', /"\/t\/n"/)
    await refuses(copy({ 'd/n': '1' }, { 't/n/': {} }, 'd', '/t'), 'copy-conflict', /"\/t\/n"/)
    await refuses(
      copy({ f: '1' }, { t: { content: 'x' } }, 'f', '/t/'),
      'copy-conflict',
      /"\/t" as a directory/,
    )
    await refuses(copy({ f: '1' }, { 't/f/': {} }, 'f', '/t'), 'copy-conflict', /"\/t\/f"/)
  })

  it('semantics 42: a directory does not replace a symlink inside the destination', async () => {
    await refuses(
      copy({ 'd/n/f': '1' }, { 't/n': { link: '/x' }, 'x/': {} }, 'd', '/t'),
      'copy-conflict',
      /"\/t\/n"/,
    )
  })
})

describe('COPY sources', () => {
  it('semantics 37: wildcards match per name, dot-files too, and [[] is a bracket', async () => {
    const files = { a: '1', '.b': '2', '[c': '3', 'd/e.txt': '4', 'f/g/h.txt': '5' }
    assert.deepEqual(paths(await copy(files, {}, '*', '/t/')), [
      't',
      't/.b',
      't/[c',
      't/a',
      't/e.txt',
      't/g',
      't/g/h.txt',
    ])
    assert.deepEqual(paths(await copy(files, {}, '[[]*', '/t/')), ['t', 't/[c'])
    assert.deepEqual(paths(await copy(files, {}, '*/*.txt', '/t/')), ['t', 't/e.txt'])
    assert.deepEqual(paths(await copy(files, {}, '**/*.txt', '/t/')), ['t', 't/e.txt'])
  })

  it('semantics 37: a wildcard without a match gives an empty layer, a name without one an error', async () => {
    assert.deepEqual(await copy({ a: '1' }, {}, 'x*', '/t/'), [])
    await refuses(
      copy({ a: '1' }, {}, 'a', 'x', '/t/'),
      'source-missing',
      /"x": not found in the build context/,
    )
    await refuses(copy({ a: '1' }, {}, '[', '/t/'), 'dockerfile-invalid', /malformed/)
  })

  it('semantics 37: an empty layer is a tar of 1024 zeros', async () => {
    const record = await createCopyOp(specOf(await bench.localContext({}), ['x*', '/']), bench.deps).exec(
      [SCRATCH],
      bench.context,
    )
    assert.deepEqual(bench.layers.tars.get(record.digest), Buffer.alloc(1024))
  })

  it('semantics 38: a directory that a wildcard matches gives its contents', async () => {
    assert.deepEqual(paths(await copy({ 'd1/a': '1', 'd2/b': '2' }, {}, 'd*', '/t/')), ['t', 't/a', 't/b'])
  })

  it('semantics 38, 49: several files onto one name: the last wins', async () => {
    const entries = await copy({ a: '1', b: '22' }, {}, 'a', 'b', '/t')
    assert.deepEqual(
      entries.map(({ path, size }) => [path, size]),
      [['t', 2]],
    )
    const same = await copy({ 'x/f': '1', 'y/f': '333' }, {}, 'x/f', 'y/f', '/t/')
    assert.deepEqual(
      same.map(({ path, size }) => [path, size]),
      [
        ['t', 0],
        ['t/f', 3],
      ],
    )
  })

  it('semantics 39: .. and / in a source mean the root of the context', async () => {
    for (const word of ['../../x', '/x', './x', 'd/../x', '/../x/'])
      assert.deepEqual(paths(await copy({ x: '1', 'd/': '' }, {}, word, '/t')), ['t'], word)
  })

  it('semantics 40: a source that is a symlink is followed inside the context, links below it are kept', async () => {
    const files = {
      'd/f': '1',
      'd/l': '->f',
      'd/out': '->/etc/passwd',
      link: '->d',
      abs: '->/d/f',
      up: '->../../d/f',
    }
    const entries = await copy(files, {}, 'link', '/t')
    assert.deepEqual(
      entries.map(({ path, type, linkPath }) => [path, type, linkPath]),
      [
        ['t', 'directory', undefined],
        ['t/f', 'file', undefined],
        ['t/l', 'symlink', 'f'],
        ['t/out', 'symlink', '/etc/passwd'],
      ],
    )
    assert.deepEqual(paths(await copy(files, {}, 'abs', 'up', '/t/')), ['t', 't/abs', 't/up'])
  })

  it('semantics 40: a symlink never leads out of the context', async () => {
    await refuses(copy({ out: '->/etc/passwd' }, {}, 'out', '/t'), 'source-missing', /"out"/)
    await refuses(
      copy({ out: '->../../../../etc' }, {}, 'out/passwd', '/t'),
      'source-missing',
      /"out\/passwd"/,
    )
    await refuses(copy({ a: '->b', b: '->a' }, {}, 'a', '/t'), 'source-missing', /"a"/)
  })

  it('semantics 43: files of the context are 0:0 and keep setuid and hard links', async () => {
    const files = { 'd/b': { mode: 0o4755, content: 'x' }, 'd/a': '=d/b', 'd/c': '=d/b' }
    const entries = await copy(files, {}, 'd', '/t')
    assert.deepEqual(
      entries.map(({ path, type, linkPath }) => [path, type, linkPath]),
      [
        ['t', 'directory', undefined],
        ['t/a', 'file', undefined],
        ['t/b', 'link', 't/a'],
        ['t/c', 'link', 't/a'],
      ],
    )
    assert.equal(modes(entries)['t/a'], '4755')
    assert.deepEqual([...new Set(Object.values(owners(entries)))], ['0:0'])
  })

  it('semantics 44: COPY --from keeps owner, setuid, attributes, links and times', async () => {
    const capability = Buffer.from('0100000280300000', 'hex')
    const stage = {
      'd/a': {
        content: 'x',
        uid: 7,
        gid: 8,
        mode: 0o6755,
        mtime: 42,
        xattrs: new Map([['security.capability', capability]]),
      },
      'd/b': { type: 'link', link: 'd/a' },
      'd/n/': { mode: 0o1777, uid: 9 },
    } as const
    const entries = await copyFrom(stage, {}, '/d', '/t')
    const [, a, b, n] = entries
    assert.deepEqual([a?.uid, a?.gid, a?.mode, a?.mtime], [7, 8, 0o6755, 42])
    assert.deepEqual(Buffer.from(a?.xattrs?.get('security.capability') ?? []), capability)
    assert.deepEqual([b?.type, b?.linkPath], ['link', 't/a'])
    assert.deepEqual([n?.mode, n?.uid], [0o1777, 9])
  })

  it('copies contents from several layers of a stage, each read once', async () => {
    const stage = await bench.root(
      { 'd/a': { content: 'low a' }, 'd/b': { content: 'low b' } },
      { 'd/b': { content: 'high b' } },
    )
    const op = createCopyOp(specOf(undefined, ['d', '/t']), bench.deps)
    const entries = await bench.run(op, SCRATCH, stage)
    assert.equal(bench.layers.reads, 2)
    const [, a, b] = entries
    const tar = [...bench.layers.tars.values()].at(-1)
    assert.equal(tar?.toString('latin1', a?.offset, (a?.offset ?? 0) + 5), 'low a')
    assert.equal(tar?.toString('latin1', b?.offset, (b?.offset ?? 0) + 6), 'high b')
  })

  it('semantics 45: --chown takes names from the root that is added to, a number for both IDs', async () => {
    const base = { 'etc/passwd': { content: 'app:x:12:34::/:\n' }, 'etc/group': { content: 'web:x:56:\n' } }
    const ownerOf = async (chown: string) =>
      owners(await copy({ f: '1' }, base, `--chown=${chown}`, 'f', '/t')).t
    assert.equal(await ownerOf('app'), '12:34')
    assert.equal(await ownerOf('app:web'), '12:56')
    assert.equal(await ownerOf('7'), '7:7')
    assert.equal(await ownerOf('7:web'), '7:56')
    assert.equal(await ownerOf('app:9'), '12:9')
    assert.equal(await ownerOf('nobody:nogroup'), '0:0')
    assert.equal(bench.statuses.length, 2)
  })

  it('semantics 15: heredoc files are 0644 of root, named where the destination is a directory', async () => {
    const tree = await bench.localContext({})
    const spec = (destination: string): CopySpec => ({
      ...specOf(tree, [destination]),
      sources: [{ kind: 'heredoc', name: 'EOF', content: 'hello\n' }],
    })
    const [file] = await bench.run(createCopyOp(spec('/x'), bench.deps), SCRATCH)
    assert.deepEqual([file?.path, file?.mode, file?.size, file?.mtime], ['x', 0o644, 6, CREATED_AT])
    assert.deepEqual(paths(await bench.run(createCopyOp(spec('/d/'), bench.deps), SCRATCH)), ['d', 'd/EOF'])
  })

  it('names a heredoc by the last part of its delimiter, and refuses one that names nothing', async () => {
    const tree = await bench.localContext({})
    const run = (name: string) =>
      bench.run(
        createCopyOp(
          { ...specOf(tree, ['/d/']), sources: [{ kind: 'heredoc', name, content: '' }] },
          bench.deps,
        ),
        SCRATCH,
      )
    assert.deepEqual(paths(await run('../a/b')), ['d', 'd/b'])
    for (const name of ['..', '.', '/', 'a/..']) await refuses(run(name), 'dockerfile-invalid', /heredoc/)
  })

  it('refuses paths with a NUL', async () => {
    await refuses(copy({ a: '1' }, {}, 'a\0b', '/t'), 'source-missing', /not found/)
    await refuses(copy({ a: '1' }, {}, 'a', '/t\0/x'), 'dockerfile-invalid', /NUL/)
  })

  it('semantics 60: an ignored source is not found, and the error says why', async () => {
    const tree = await bench.localContext({ secret: '1' }, 'secret\n')
    const op = createCopyOp(specOf(tree, ['secret', '/']), bench.deps)
    await assert.rejects(op.exec([SCRATCH], bench.context), {
      code: 'source-missing',
      hint: /\.dockerignore/,
    })
  })

  it('refuses names that mean deletions in a layer', async () => {
    await refuses(copy({ 'd/.wh.x': '1' }, {}, 'd', '/t'), 'copy-conflict', /"\/t\/\.wh\.x"/)
    await refuses(copy({ f: '1' }, {}, 'f', '/.wh..wh..opq/f'), 'copy-conflict', /\.wh\./)
  })

  it('writes the same bytes for the same files, sorted', async () => {
    const run = async (files: Files) => {
      const tree = await bench.localContext(files)
      for (const name of ['', 'a', 'a/z', 'a-b', 'b']) utimesSync(join(tree.directory, name), 9, 9)
      const record = await createCopyOp(specOf(tree, ['.', '/']), bench.deps).exec([SCRATCH], bench.context)
      return record
    }
    const one = await run({ 'a/z': '1', 'a-b': '2', b: '3' })
    const two = await run({ b: '3', 'a-b': '2', 'a/z': '1' })
    assert.equal(one.digest, two.digest)
    assert.deepEqual(paths(bench.layers.toc(one).entries), ['a', 'a-b', 'a/z', 'b'])
  })
})

describe('the cache key of COPY', () => {
  const keyOf = async (tree: FileTree, root: Result, ...words: string[]) =>
    (await createCopyOp(specOf(tree, words), bench.deps).cacheKey([root], bench.context))?.digest

  async function contextAfter(
    change: (directory: string) => void,
  ): Promise<FileTree & { directory: string }> {
    const tree = await bench.localContext({ 'd/a': '1', 'd/b': '2', other: '3' })
    change(tree.directory)
    return tree
  }

  const unchanged: readonly (readonly [string, (directory: string) => void])[] = [
    ['a touched file', directory => utimesSync(join(directory, 'd/a'), 1, 1)],
    ['a file that is not selected', directory => writeFileSync(join(directory, 'other'), 'changed')],
  ]
  for (const [name, change] of unchanged) {
    it(`semantics 97, 98: does not change with ${name}`, async () => {
      const before = await keyOf(await contextAfter(() => undefined), SCRATCH, 'd', '/t')
      assert.equal(await keyOf(await contextAfter(change), SCRATCH, 'd', '/t'), before)
    })
  }

  const changed: readonly (readonly [string, (directory: string) => void])[] = [
    ['the content of a file', directory => writeFileSync(join(directory, 'd/a'), '9')],
    ['the mode of a file', directory => chmodSync(join(directory, 'd/a'), 0o755)],
    ['a new file', directory => writeFileSync(join(directory, 'd/c'), '')],
    ['a new directory', directory => mkdirSync(join(directory, 'd/c'))],
    ['a file that is gone', directory => unlinkSync(join(directory, 'd/a'))],
    [
      'a hard link in the place of an equal file',
      directory => {
        writeFileSync(join(directory, 'd/a'), '2')
        unlinkSync(join(directory, 'd/b'))
        linkSync(join(directory, 'd/a'), join(directory, 'd/b'))
      },
    ],
  ]
  it('semantics 97: changes with each of content, mode, links and names', async () => {
    const keys = [await keyOf(await contextAfter(() => undefined), SCRATCH, 'd', '/t')]
    for (const [, change] of changed) keys.push(await keyOf(await contextAfter(change), SCRATCH, 'd', '/t'))
    assert.equal(new Set(keys).size, changed.length + 1)
  })

  it('semantics 99: changes with destination, --chown, --chmod and the parent', async () => {
    const tree = await contextAfter(() => undefined)
    const keys = [
      await keyOf(tree, SCRATCH, 'd', '/t'),
      await keyOf(tree, SCRATCH, 'd', '/t/'),
      await keyOf(tree, SCRATCH, 'd', '/u'),
      await keyOf(tree, SCRATCH, '--chown=1', 'd', '/t'),
      await keyOf(tree, SCRATCH, '--chmod=1', 'd', '/t'),
      await keyOf(tree, await bench.root({ x: {} }), 'd', '/t'),
    ]
    assert.equal(new Set(keys).size, keys.length)
  })

  it('semantics 98: changes with the name that a wildcard matched', async () => {
    const one = await keyOf(await bench.localContext({ 'a.txt': '1' }), SCRATCH, '*.txt', '/t/')
    const two = await keyOf(await bench.localContext({ 'b.txt': '1' }), SCRATCH, '*.txt', '/t/')
    assert.notEqual(one, two)
  })

  it('semantics 101: is not confused by names with spaces', async () => {
    const tree = await bench.localContext({ a: '1', b: '2', 'a b': '12' })
    assert.notEqual(await keyOf(tree, SCRATCH, 'a', 'b', '/t/'), await keyOf(tree, SCRATCH, 'a b', '/t/'))
  })

  it('names each file in its parts, and folds many files into their directories', async () => {
    const key = (tree: FileTree) =>
      createCopyOp(specOf(tree, ['.', '/']), bench.deps).cacheKey([SCRATCH], bench.context)
    const few = await key(await bench.localContext({ 'd/a': '1' }))
    assert.match(few?.parts.find(([name]) => name === 'd/a')?.[1] ?? '', /^file 0644 0:0 1 sha256:/)
    const many = Object.fromEntries(
      Array.from({ length: 1200 }, (_, index) => [`d${index % 7}/${index}`, '']),
    )
    const tree = await bench.localContext(many)
    const folded = await key(tree)
    assert.deepEqual(
      folded?.parts
        .map(([name]) => name)
        .filter(name => name.startsWith('d'))
        .slice(0, 3),
      ['destination', 'd0/', 'd1/'],
    )
    writeFileSync(join(tree.directory, 'd3/3'), 'x')
    assert.notEqual((await key(await bench.localContext({ ...many, 'd3/3': 'x' })))?.digest, folded?.digest)
  })

  it('is the same for a stage as for a context with the same files', async () => {
    const stage = await bench.root({ 'd/a': { content: '1' }, 'd/b': { content: '2' } })
    const from = createCopyOp(specOf(undefined, ['d', '/t']), bench.deps)
    const key = await from.cacheKey([SCRATCH, stage], bench.context)
    assert.equal(key?.digest, await keyOf(await contextAfter(() => undefined), SCRATCH, 'd', '/t'))
  })
})

describe('COPY --exclude', () => {
  const FILES = {
    'd/a.md': '1',
    'd/b.txt': '2',
    'd/n/c.md': '3',
    'd/n/e.txt': '4',
    'd/o/p/q.md': '5',
    'f.md': '6',
  }

  it('semantics 48: patterns count from the source, not from the context', async () => {
    assert.deepEqual(paths(await copy(FILES, {}, '--exclude=*.md', 'd', '/t')), [
      't',
      't/b.txt',
      't/n',
      't/n/c.md',
      't/n/e.txt',
      't/o',
      't/o/p',
      't/o/p/q.md',
    ])
    assert.deepEqual(paths(await copy(FILES, {}, '--exclude=d', 'd', '/t')).length, 9)
    assert.deepEqual(paths(await copy(FILES, {}, '--exclude=*/*.md', '.', '/t')), [
      't',
      't/d',
      't/d/b.txt',
      't/d/n',
      't/d/n/c.md',
      't/d/n/e.txt',
      't/d/o',
      't/d/o/p',
      't/d/o/p/q.md',
      't/f.md',
    ])
  })

  it('semantics 48: an excluded directory goes with all below it, several flags add up', async () => {
    const words = ['--exclude=n', '--exclude=**/*.md', 'd', '/t']
    assert.deepEqual(paths(await copy(FILES, {}, ...words)), ['t', 't/b.txt', 't/o', 't/o/p'])
    assert.deepEqual(paths(await copy(FILES, {}, '--exclude=*', 'd', '/t')), ['t'])
  })

  it('semantics 48: ! takes back, with the directories on the way and what they are', async () => {
    const files = { ...FILES, 'd/o/': { mode: 0o711 } }
    const entries = await copy(files, {}, '--exclude=*', '--exclude=!o/p/*.md', 'd', '/t')
    assert.deepEqual(modes(entries), { t: '755', 't/o': '711', 't/o/p': '755', 't/o/p/q.md': '644' })
  })

  it('semantics 48: a source that is a file is copied whatever is excluded, as BuildKit does', async () => {
    assert.deepEqual(paths(await copy(FILES, {}, '--exclude=*.md', 'f.md', '/t/')), ['t', 't/f.md'])
  })

  it('semantics 48: works on the files of a stage too', async () => {
    const stage = { 'd/a': {}, 'd/b': {}, 'd/c/a': {} }
    assert.deepEqual(paths(await copyFrom(stage, {}, '--exclude=**/a', '/d', '/t')), ['t', 't/b', 't/c'])
  })

  it('has a key that depends on what is left only', async () => {
    const tree = await bench.localContext({ 'd/a': '1', 'd/b': '2' })
    const keyOf = async (...words: string[]) =>
      (await createCopyOp(specOf(tree, words), bench.deps).cacheKey([SCRATCH], bench.context))?.digest
    const before = await keyOf('--exclude=b', 'd', '/t')
    assert.notEqual(before, await keyOf('d', '/t'))
    writeFileSync(join(tree.directory, 'd', 'b'), 'other')
    assert.equal(await keyOf('--exclude=b', 'd', '/t'), before)
  })
})

describe('COPY --parents', () => {
  const FILES = {
    'a/b/c/d/e/bay': '1',
    'a/b/c/d/foo': '2',
    'a/b2/c/d/e/bar': '3',
    'a/b/c2/d/e/baz': '4',
    'a/b/c2/d/e2/baz': '5',
  }
  const files = async (...words: string[]) =>
    (await copy(FILES, {}, '--parents', ...words))
      .filter(({ type }) => type === 'file')
      .map(({ path }) => path)

  it('semantics 47: a file or directory keeps its path', async () => {
    assert.deepEqual(paths(await copy(FILES, {}, '--parents', 'a/b/c/d/foo', '/t/')), [
      't',
      't/a',
      't/a/b',
      't/a/b/c',
      't/a/b/c/d',
      't/a/b/c/d/foo',
    ])
    assert.deepEqual(await files('./a/b/c/', '/t'), ['t/a/b/c/d/e/bay', 't/a/b/c/d/foo'])
    assert.deepEqual(await files('a/b/c/d/.', '../a/b2', '/t/'), [
      't/a/b/c/d/e/bay',
      't/a/b/c/d/foo',
      't/a/b2/c/d/e/bar',
    ])
    assert.equal((await files('.', '/t')).length, 5)
  })

  it('semantics 47: what comes before the first /./ is dropped', async () => {
    assert.deepEqual(await files('/a/b/./c/d', '/t'), ['t/c/d/e/bay', 't/c/d/foo'])
    assert.deepEqual(await files('a/./b/./c', '/t'), ['t/b/c/d/e/bay', 't/b/c/d/foo'])
    assert.deepEqual(await files('a/./*/c', '/t'), ['t/b/c/d/e/bay', 't/b/c/d/foo', 't/b2/c/d/e/bar'])
  })

  it('semantics 47: ** spans directories, on both sides several directories are merged', async () => {
    assert.deepEqual(await files('a/b*/./c/**/e', '/t'), ['t/c/d/e/bar', 't/c/d/e/bay'])
    assert.deepEqual(await files('a/b/c*/./d/**/baz', 'a/b*/./c/**/bar', '/t/'), [
      't/c/d/e/bar',
      't/d/e/baz',
      't/d/e2/baz',
    ])
  })

  it('semantics 47: parents are as they are at the source; those of the destination are new', async () => {
    const stage = { 'p/': { mode: 0o700, uid: 5, mtime: 9 }, 'p/q/': { mode: 0o711, gid: 6 }, 'p/q/f': {} }
    const entries = await copyFrom(stage, {}, '--parents', '/p/q/f', '/t/')
    assert.deepEqual(modes(entries), { t: '755', 't/p': '700', 't/p/q': '711', 't/p/q/f': '644' })
    assert.deepEqual(owners(entries), { t: '0:0', 't/p': '5:0', 't/p/q': '0:6', 't/p/q/f': '0:0' })
    assert.equal(entries[1]?.mtime, 9)
    const chowned = await copyFrom(stage, {}, '--parents', '--chown=3:4', '/p/q/f', '/t/')
    assert.deepEqual([...new Set(Object.values(owners(chowned)))], ['3:4'])
  })

  it('semantics 47: a literal path must be there, a pattern need not match', async () => {
    await refuses(files('a/x', '/t'), 'source-missing', /"a\/x": not found/)
    await refuses(files('a/./x/y', '/t'), 'source-missing', /not found/)
    await refuses(files('x/./*', '/t'), 'source-missing', /not found/)
    await refuses(files('a/[', '/t'), 'dockerfile-invalid', /malformed/)
    assert.deepEqual(await files('a/x*', '/t'), [])
    assert.deepEqual(await files('x*/./y', '/t'), [])
  })

  it('--exclude counts from the pivot', async () => {
    assert.deepEqual(await files('--exclude=c/d/e', 'a/b/./c*', '/t'), [
      't/c/d/foo',
      't/c2/d/e/baz',
      't/c2/d/e2/baz',
    ])
  })

  it('follows links before the pivot only', async () => {
    const linked = { 'd/e/f': '1', l: '->d' }
    assert.deepEqual(paths(await copy(linked, {}, '--parents', 'l/./e/f', '/t')), ['t', 't/e', 't/e/f'])
    await refuses(copy(linked, {}, '--parents', 'l/e/f', '/t'), 'source-missing', /not found/)
    assert.deepEqual(paths(await copy(linked, {}, '--parents', 'l', '/t')), ['t', 't/l'])
  })
})

describe('COPY --link', () => {
  const BASE = {
    'etc/passwd': { content: 'app:x:12:34::/:\n' },
    'd/': { mode: 0o700, uid: 5 },
    'd/old': {},
    l: { link: 'd' },
    f: { content: 'file' },
  }

  it('semantics 46: names all levels of the destination anew, whatever the root has there', async () => {
    const entries = await copy({ x: '1' }, BASE, '--link', 'x', '/d/')
    assert.deepEqual(modes(entries), { d: '755', 'd/x': '644' })
    assert.deepEqual(owners(entries), { d: '0:0', 'd/x': '0:0' })
    assert.deepEqual(paths(await copy({ x: '1' }, BASE, '--link', 'x', '/d')), ['d'])
  })

  it('semantics 46: replaces links and files by directories in the result', async () => {
    const root = await bench.root(BASE)
    const tree = await bench.localContext({ x: '1' })
    const layers = [...root.layers]
    for (const destination of ['/l/', '/f/']) {
      const op = createCopyOp(specOf(tree, ['--link', 'x', destination]), bench.deps)
      layers.push(await op.exec([root], bench.context))
    }
    await using merged = bench.tree({ chainID: undefined, layers })
    for (const path of ['l', 'f']) {
      assert.equal((await merged.stat(byteStringOf(path)))?.type, 'directory')
      assert.deepEqual(await merged.list(byteStringOf(path)), ['x'])
    }
    assert.deepEqual(await merged.list(byteStringOf('d')), ['old'])
  })

  it('semantics 46: is the same layer, under the same key, over any root', async () => {
    const tree = await bench.localContext({ x: '1' })
    const op = createCopyOp(specOf(tree, ['--link', '--chown=7', 'x', '/d/']), bench.deps)
    const roots = [SCRATCH, await bench.root(BASE), await bench.root({ other: {} })]
    const keys = await Promise.all(roots.map(root => op.cacheKey([root], bench.context)))
    assert.equal(new Set(keys.map(key => key?.digest)).size, 1)
    const layers = await Promise.all(roots.map(root => op.exec([root], bench.context)))
    assert.equal(new Set(layers.map(layer => layer.digest)).size, 1)
    const unlinked = createCopyOp(specOf(tree, ['--chown=7', 'x', '/d/']), bench.deps)
    assert.notEqual((await unlinked.cacheKey([SCRATCH], bench.context))?.digest, keys[0]?.digest)
  })

  it('asks the root for nothing but the names of --chown, whose IDs are in the key', async () => {
    const tree = await bench.localContext({ x: '1' })
    const numeric = createCopyOp(specOf(tree, ['--link', '--chown=7:8', 'x', '/']), {
      ...bench.deps,
      openTree: async result => {
        assert.equal(result.layers.length, 0)
        return bench.tree(result)
      },
    })
    await bench.run(numeric, await bench.root(BASE))
    const named = createCopyOp(specOf(tree, ['--link', '--chown=app', 'x', '/']), bench.deps)
    const [entry] = await bench.run(named, await bench.root(BASE))
    assert.deepEqual([entry?.uid, entry?.gid], [12, 34])
    const keyOver = async (passwd: string) =>
      (await named.cacheKey([await bench.root({ 'etc/passwd': { content: passwd } })], bench.context))?.digest
    assert.equal(await keyOver('app:x:1:2::/:\n'), await keyOver('# other\napp:x:1:2::/:\n'))
    assert.notEqual(await keyOver('app:x:1:2::/:\n'), await keyOver('app:x:1:3::/:\n'))
  })
})
