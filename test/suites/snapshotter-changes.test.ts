/** What an active snapshot tells of what was written through its mounts. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { lstatSync, readFileSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import { createCopyingSnapshotter } from '../../src/builder/snapshot/copying-snapshotter.ts'
import { createOverlaySnapshotter } from '../../src/builder/snapshot/overlay-snapshotter.ts'
import type { Snapshotter } from '../../src/builder/snapshot/snapshotter.ts'
import type { FileTree, TreeNode } from '../../src/builder/tree/file-tree.ts'
import { loadLinux } from '../../src/linux/linux.ts'
import type { ByteString } from '../../src/oci/byte-string.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { type TarItem, writeTar } from '../../src/oci/tar/writer.ts'
import {
  directory,
  file,
  hardLink,
  mounted,
  needsRoot,
  never,
  symlink,
  temporaryDirectory,
} from './snapshotter-kit.ts'

/** A tree of tar items; links follow their targets. */
function treeOf(items: readonly TarItem[]): FileTree {
  const nodes = new Map<ByteString, TreeNode>()
  const digests = new Map<ByteString, Digest>()
  const add = ({ entry: { path, type, ...rest }, body }: TarItem) => {
    if (type === 'link') {
      const target = rest.linkPath ?? assert.fail()
      const node = { ...(nodes.get(target) ?? assert.fail()), identity: target }
      nodes.set(target, node).set(path, node)
      digests.set(path, digests.get(target) ?? assert.fail())
      return
    }
    nodes.set(path, { type, ...rest })
    if (body instanceof Uint8Array) digests.set(path, digestOf(body))
  }
  items.forEach(add)
  return {
    stat: async path => nodes.get(path),
    list: async path => {
      const prefix = path === '' ? '' : `${path}/`
      const below = [...nodes.keys()].filter(name => name.startsWith(prefix) && name !== path)
      return below
        .map(name => name.slice(prefix.length) as ByteString)
        .filter(name => !name.includes('/'))
        .sort()
    },
    digest: async path => digests.get(path) ?? assert.fail(`no digest of ${path}`),
    prepare: async () => undefined,
    open: async () => assert.fail('nothing is opened'),
  }
}

type Create = (options: { readonly root: string }) => Snapshotter

/** Runs a script over the unpacked layer and returns what it changed. */
async function changesOf(
  create: Create,
  t: TestContext,
  lower: readonly TarItem[],
  script: string,
): Promise<TarItem[]> {
  const snapshotter = create({ root: temporaryDirectory(t) })
  const base = lower.length === 0 ? undefined : digestOf('base')
  if (base !== undefined) await snapshotter.apply(base, undefined, writeTar(lower), never)
  await using active = await snapshotter.prepare(base)
  await mounted(active.mounts, root => execFileSync('sh', ['-euc', `umask 022\n${script}`], { cwd: root }))
  const items: TarItem[] = []
  for await (const item of active.changes(treeOf(lower), never)) items.push(item)
  // Also proves that entries and bodies fit each other.
  for await (const _chunk of writeTar(items));
  return items
}

const outline = (items: readonly TarItem[]) =>
  items.map(
    ({ entry: { type, path, mode, linkPath } }) =>
      `${type} ${path} ${mode.toString(8)}${linkPath === undefined ? '' : ` ${linkPath}`}`,
  )

const LOWER = [
  directory('d', { mode: 0o711 }),
  file('d/a', 'aaa'),
  file('d/b', 'bbb', { uid: 5 }),
  directory('d/s'),
  file('d/s/x', 'x'),
  file('f', 'content'),
  symlink('l', 'f'),
  file('h1', 'linked'),
  hardLink('h2', 'h1'),
  file('e1', 'equal'),
  file('e2', 'equal'),
]

const rows: readonly (readonly [name: string, script: string, want: readonly string[]])[] = [
  ['a step that changes nothing makes an empty layer', 'cat f > /dev/null', []],
  [
    'a new file comes with its directory, whose time has changed',
    'echo new > d/new',
    ['directory d 711', 'file d/new 644'],
  ],
  [
    'a file that is opened for writing and left as it was is dropped',
    'exec 3>>f; exec 3>&-; chmod 600 f; chmod 644 f; touch -d @1000000 f',
    [],
  ],
  [
    'a file with the same size and time but other content is not dropped',
    'printf CONTENT > f; touch -d @1000000 f',
    ['file f 644'],
  ],
  ['a change of mode is a change', 'chmod 4755 f', ['file f 4755']],
  ['a change of owner is a change', 'chown 7:8 f', ['file f 644']],
  ['a deleted file leaves a whiteout', 'rm f; touch -d @1000000 .', ['file .wh.f 0']],
  ['a deleted directory leaves one whiteout', 'rm -r d', ['file .wh.d 0']],
  ['a file made and deleted leaves nothing', 'touch t; rm t', []],
  [
    'a directory made anew has whiteouts for what it lacks',
    'rm -r d; mkdir d; echo 2 > d/b',
    ['directory d 755', 'file d/.wh.a 0', 'file d/b 644', 'file d/.wh.s 0'],
  ],
  [
    'in a directory made anew, what is made anew below hides what was there',
    'rm -r d; mkdir -p d/s; touch d/s/y',
    [
      'directory d 755',
      'file d/.wh.a 0',
      'file d/.wh.b 0',
      'directory d/s 755',
      'file d/s/.wh.x 0',
      'file d/s/y 644',
    ],
  ],
  ['a file in place of a directory needs no whiteout', 'rm -r d; echo file > d', ['file d 644']],
  [
    'a directory in place of a file needs no whiteout',
    'rm f; mkdir f; touch f/x',
    ['directory f 755', 'file f/x 644'],
  ],
  ['a symlink in place of a directory needs no whiteout', 'rm -r d; ln -s f d', ['symlink d 777 f']],
  ['a directory in place of a symlink needs no whiteout', 'rm l; mkdir l', ['directory l 755']],
  [
    'a renamed directory is a whiteout and a copy',
    'mv d e',
    [
      'file .wh.d 0',
      'directory e 711',
      'file e/a 644',
      'file e/b 644',
      'directory e/s 755',
      'file e/s/x 644',
    ],
  ],
  [
    'hard links are links to the first name',
    'echo x > z; ln z y; ln z d/z',
    ['directory d 711', 'file d/z 644', 'link y 644 d/z', 'link z 644 d/z'],
  ],
  [
    'semantics 89: a further name of a file below is a file of its own',
    'ln f g; ln d/b 0; touch -d @1000000 d',
    ['file 0 644', 'file g 644'],
  ],
  ['a name that was a link and is an equal file of its own now is as it was', 'cp -p h2 t; mv t h2', []],
  ['several new names of a file below are one file', 'ln h1 t; ln h1 u', ['file t 644', 'link u 644 t']],
  [
    'names of one file below that are all changed stay apart',
    'chown 3 h1 h2',
    ['file h1 644', 'file h2 644'],
  ],
  ['equal files that become one are as they were', 'ln -f e1 e2', []],
  [
    'a changed file comes with its directory, which is as it was',
    'chmod 600 d/a',
    ['directory d 711', 'file d/a 600'],
  ],
  [
    'a deletion comes with the directories on the way',
    'rm d/s/x; touch -d @1000000 d/s',
    ['directory d 711', 'directory d/s 755', 'file d/s/.wh.x 0'],
  ],
  [
    'devices and fifos are kept, sockets are not',
    'mknod c c 1 3; mkfifo p; mknod b b 7 0; perl -MSocket -e "socket(S,PF_UNIX,SOCK_STREAM,0);bind(S,sockaddr_un(q(sock)))"',
    ['block b 644', 'character c 644', 'fifo p 644'],
  ],
  [
    'a socket in place of a file deletes the file',
    'rm f; perl -MSocket -e "socket(S,PF_UNIX,SOCK_STREAM,0);bind(S,sockaddr_un(q(f)))"',
    ['file .wh.f 0'],
  ],
  [
    'names are sorted by bytes, directories before their content',
    'mkdir a a.b; touch a/x a.b/x a-b B',
    ['file B 644', 'directory a 755', 'file a/x 644', 'file a-b 644', 'directory a.b 755', 'file a.b/x 644'],
  ],
]

changesSuite('an overlay', createOverlaySnapshotter)
changesSuite('a copy', createCopyingSnapshotter)

function changesSuite(name: string, create: Create): void {
  describe(`changes() of ${name}`, { skip: needsRoot }, () => {
    const changes = (t: TestContext, lower: readonly TarItem[], script: string) =>
      changesOf(create, t, lower, script)

    for (const [name, script, want] of rows)
      test(name, async t => assert.deepEqual(outline(await changes(t, LOWER, script)), want))

    test('over nothing, all is new', async t => {
      assert.deepEqual(outline(await changes(t, [], 'mkdir d; touch d/f; chmod 0 d/f')), [
        'directory d 755',
        'file d/f 0',
      ])
    })

    test('times are cut to whole seconds, also before the epoch', async t => {
      const items = await changes(
        t,
        LOWER,
        'touch -d @1700000000.999999999 f; touch -d @-1.25 d/a; touch -d @1000000 d',
      )
      assert.deepEqual(
        items.map(({ entry: { path, mtime } }) => [path, mtime]),
        [
          ['d', 1_000_000],
          ['d/a', -2],
          ['f', 1_700_000_000],
        ],
      )
    })

    test('keeps owners beyond 16 bits, and content large and small', async t => {
      const items = await changes(
        t,
        [],
        'head -c 3000000 /dev/zero > large; printf x > small; chown 4000000000:3000000000 small',
      )
      assert.deepEqual(
        items.map(({ entry: { size, uid, gid } }) => [size, uid, gid]),
        [
          [3_000_000, 0, 0],
          [1, 4_000_000_000, 3_000_000_000],
        ],
      )
    })

    test("keeps extended attributes, but not overlayfs' own", async t => {
      const capability = Buffer.from('0100000280300000000000000000000000000000', 'hex')
      const lower = [
        directory('d'),
        file('d/tool', 'x', { xattrs: new Map([['security.capability', capability]]) }),
      ]
      const moved = await changes(t, lower, 'mv d/tool tool; rm -r d; mkdir d; touch -d @1000000 d')
      const tool = moved.find(item => item.entry.path === 'tool')
      assert.deepEqual([...(tool?.entry.xattrs ?? [])], [['security.capability', capability]])
      assert.ok(
        moved.every(item => [...(item.entry.xattrs?.keys() ?? [])].every(key => !key.startsWith('trusted.'))),
      )
      const untouched = await changes(t, lower, 'touch -d @1000000 d/tool')
      assert.deepEqual(outline(untouched), [])
    })

    test('a changed extended attribute is a change', async t => {
      const linux = await loadLinux()
      const snapshotter = create({ root: temporaryDirectory(t) })
      await snapshotter.apply(digestOf('base'), undefined, writeTar(LOWER), never)
      await using active = await snapshotter.prepare(digestOf('base'))
      await mounted(active.mounts, root => linux.lsetxattr(`${root}/f`, 'user.new', Buffer.from('1')))
      const items: TarItem[] = []
      for await (const item of active.changes(treeOf(LOWER), never)) items.push(item)
      assert.deepEqual(outline(items), ['file f 644'])
    })

    test('a file named like a whiteout is an error that names it', async t => {
      await assert.rejects(changes(t, LOWER, 'touch d/.wh.a'), {
        code: 'run-failed',
        message: /the name of "d\/\.wh\.a" means a deletion/,
      })
    })

    test('the same changes make the same bytes', async t => {
      const script =
        'mkdir -p x/y; for n in 9 1 5; do echo $n > x/$n; ln x/$n x/y/$n; done; find x -exec touch -hd @5 {} +'
      const bytes = async () => {
        const chunks: Uint8Array[] = []
        for await (const chunk of writeTar(await changes(t, [], script))) chunks.push(chunk)
        return digestOf(Buffer.concat(chunks))
      }
      assert.equal(await bytes(), await bytes())
    })

    test('what is read and unpacked again is what was there', async t => {
      const root = temporaryDirectory(t)
      const items = await changes(
        t,
        LOWER,
        'rm -r d; mkdir d; echo 2 > d/b; ln d/b g; mknod null c 1 3; rm f',
      )
      const snapshotter = create({ root })
      await snapshotter.apply(digestOf('base'), undefined, writeTar(LOWER), never)
      await snapshotter.apply(digestOf('next'), digestOf('base'), writeTar(items), never)
      await using active = await snapshotter.prepare(digestOf('next'))
      await mounted(active.mounts, path => {
        assert.equal(
          execFileSync('ls', ['-A', path, `${path}/d`], { encoding: 'utf8' }).replaceAll(path, ''),
          ':\nd\ne1\ne2\ng\nh1\nh2\nl\nnull\n\n/d:\nb\n',
        )
        assert.equal(lstatSync(`${path}/g`).ino, lstatSync(`${path}/d/b`).ino)
        assert.equal(readFileSync(`${path}/g`, 'utf8'), '2\n')
      })
    })
  })
}
