import assert from 'node:assert/strict'
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import { createOverlaySnapshotter } from '../../src/builder/snapshot/overlay-snapshotter.ts'
import type { Snapshotter } from '../../src/builder/snapshot/snapshotter.ts'
import type { ByteString } from '../../src/oci/byte-string.ts'
import { Digester, digestOf } from '../../src/oci/digest.ts'
import { OciError } from '../../src/oci/errors.ts'
import { type Change, readChangeset } from '../../src/oci/layer/changeset.ts'
import type { LayerToc, TocEntry } from '../../src/oci/layer/toc.ts'
import { type MergedTree, mergeTocs } from '../../src/oci/layer/tree.ts'
import { type TarItem, writeTar } from '../../src/oci/tar/writer.ts'
import {
  applyAll,
  directory,
  entry,
  file,
  hardLink,
  needsRoot,
  opaque,
  symlink,
  temporaryDirectory,
  unpacked,
  whiteout,
} from '../suites/snapshotter-kit.ts'

/** A store in a directory, beside a victim that no layer may reach. */
function open(t: TestContext): { snapshotter: Snapshotter; victim: string } {
  const outside = temporaryDirectory(t, path => {
    assert.equal(readFileSync(`${path}/victim/file`, 'utf8'), 'untouched')
    assert.deepEqual(readdirSync(`${path}/victim`), ['file'])
    assert.equal(lstatSync(`${path}/victim`).mode & 0o777, 0o755)
  })
  const victim = `${outside}/victim`
  mkdirSync(victim, { mode: 0o755 })
  writeFileSync(`${victim}/file`, 'untouched')
  return { snapshotter: createOverlaySnapshotter({ root: `${outside}/store` }), victim }
}

describe('a hostile layer', { skip: needsRoot }, () => {
  const attacks: readonly (readonly [name: string, layers: (victim: string) => TarItem[][]])[] = [
    ['a file through an absolute symlink', v => [[symlink('s', v), file('s/file', 'owned')]]],
    ['a file through a symlink of a lower layer', v => [[symlink('s', v)], [file('s/file', 'owned')]]],
    ['a file over a symlink to a file', v => [[symlink('s', `${v}/file`), file('s', 'owned')]]],
    ['a directory over a symlink', v => [[symlink('s', v), directory('s', { mode: 0o777 })]]],
    ['a whiteout through a symlink', v => [[symlink('s', v)], [whiteout('s/file')]]],
    ['an opaque directory behind a symlink', v => [[symlink('s', v)], [opaque('s')]]],
    [
      'a file through a relative symlink out of the root',
      v => [[symlink('s', `${'../'.repeat(40)}${v.slice(1)}`), file('s/file', 'owned')]],
    ],
    [
      'a chain of symlinks',
      v => [[symlink('a', 'b/c'), directory('b'), symlink('b/c', v), file('a/file', 'owned')]],
    ],
    [
      'a path with a symlink swapped in between',
      v => [
        [
          directory('d'),
          file('d/x'),
          symlink('d', v),
          file('d/file', 'owned'),
          directory('d', { mode: 0o700 }),
        ],
      ],
    ],
    [
      'a fifo, a device and a link through a symlink',
      v => [
        [
          symlink('s', v),
          entry('fifo', 's/p'),
          entry('block', 's/b', { deviceMajor: 8 }),
          symlink('s/l', '/'),
        ],
      ],
    ],
    [
      'a replaced directory that holds a symlink out',
      v => [[directory('d'), symlink('d/s', v), file('d', 'now a file')]],
    ],
  ]
  for (const [name, layers] of attacks)
    test(`${name} stays inside`, async t => {
      const { snapshotter, victim } = open(t)
      await unpacked(snapshotter, layers(victim))
    })

  test('a hard link through a symlink does not reach outside', async t => {
    const { snapshotter, victim } = open(t)
    await assert.rejects(
      unpacked(snapshotter, [[symlink('s', victim), hardLink('h', 's/file'), file('h', 'owned')]]),
      {
        code: 'layer-invalid',
      },
    )
  })

  const refused: readonly (readonly [name: string, layers: TarItem[][]])[] = [
    ['a hard link to nothing', [[hardLink('h', 'nothing')]]],
    ['a hard link to a directory', [[directory('d'), hardLink('h', 'd')]]],
    [
      'a hard link to a file that the layer hides',
      [
        [directory('d'), file('d/f')],
        [whiteout('d'), hardLink('h', 'd/f')],
      ],
    ],
    ['a path through a file', [[file('f'), file('f/g')]]],
    ['a path through a loop of symlinks', [[symlink('a', 'b'), symlink('b', 'a'), file('a/x')]]],
    ['a path through a symlink to itself', [[symlink('a', 'a/b'), file('a/x')]]],
  ]
  for (const [name, layers] of refused)
    test(`${name} is refused`, async t => {
      await assert.rejects(unpacked(open(t).snapshotter, layers), (error: unknown) => {
        assert.ok(error instanceof OciError, String(error))
        assert.equal(error.code, 'layer-invalid')
        return true
      })
    })

  test("overlayfs' own attributes are not taken from a layer", async t => {
    const xattrs = new Map([
      ['trusted.overlay.redirect', Buffer.from('/secret')],
      ['trusted.overlay.opaque', Buffer.from('y')],
      ['trusted.overlay.metacopy', Buffer.from('')],
    ])
    const layers = [
      [directory('d'), file('d/f', 'x')],
      [directory('d', { xattrs }), file('g', 'y', { xattrs })],
    ]
    const lines = await unpacked(open(t).snapshotter, layers)
    assert.deepEqual(
      lines.map(line => line.split(' ')[0]),
      ['.', 'd', 'd/f', 'g'],
    )
    assert.ok(lines.every(line => !line.includes('trusted')))
  })

  test('a name longer than the longest path is refused without being repeated in full', async t => {
    const name = `${'long/'.repeat(2000)}f`
    await assert.rejects(
      unpacked(createOverlaySnapshotter({ root: temporaryDirectory(t) }), [[file(name)]]),
      {
        code: 'layer-invalid',
        message: /^.{1,200}$/,
      },
    )
  })

  test('a tree deeper than the longest path is refused, and gone', async t => {
    const { snapshotter } = open(t)
    const step = Array.from({ length: 60 }, () => 'd'.repeat(30)).join('/')
    const items: TarItem[] = [directory(step), symlink('s1', step)]
    for (let n = 1; n < 5; n++) items.push(directory(`s${n}/${step}`), symlink(`s${n + 1}`, `s${n}/${step}`))
    await assert.rejects(applyAll(snapshotter, [items]), { code: 'layer-invalid' })
  })

  test('random stacks of layers unpack to what their tables of contents say', async t => {
    const { snapshotter } = open(t)
    for (let seed = 1; seed <= 60; seed++) {
      const random = randomNumbers(seed)
      const layers = Array.from({ length: 1 + random(3) }, () => randomLayer(random))
      const tree = await mergedTree(layers).catch(codeOf)
      const lines = await unpacked(snapshotter, layers.map(renamed(seed))).catch(codeOf)
      if (typeof tree === 'string' || typeof lines === 'string') assert.equal(lines, tree, `seed ${seed}`)
      else assert.deepEqual(withoutDetails(lines), describeMerged(tree), `seed ${seed}: ${outline(layers)}`)
    }
  })
})

function codeOf(error: unknown): string {
  if (error instanceof OciError) return error.code
  throw error
}

type Random = (below: number) => number

function randomNumbers(seed: number): Random {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >>> 8) % below
  }
}

const NAMES = ['a', 'b', 'c']

/** Whiteouts come first, as all tools write them: of later ones, the metadata of parents may differ. */
function randomLayer(random: Random): TarItem[] {
  const path = () => Array.from({ length: 1 + random(3) }, () => NAMES[random(3)]).join('/')
  const removals = Array.from({ length: random(3) }, () =>
    random(3) === 0 ? opaque(path()) : whiteout(path()),
  )
  const additions = Array.from({ length: random(6) }, () => {
    const kind = random(7)
    if (kind < 3) return directory(path(), { mode: 0o700 + random(64) })
    if (kind < 5) return file(path(), `content ${random(100)}`)
    return kind === 5
      ? symlink(path(), `${random(2) === 0 ? '/' : '../'}${path()}`)
      : hardLink(path(), path())
  })
  return [...removals, ...additions]
}

/** Equal stacks of other seeds must not be found as unpacked already. */
function renamed(seed: number) {
  return (layer: TarItem[]): TarItem[] => [...layer, file(`zz-${seed}`)]
}

async function mergedTree(layers: readonly TarItem[][]): Promise<MergedTree> {
  const tocs: LayerToc[] = []
  for (const layer of layers) tocs.push(await tocOf(layer))
  return mergeTocs(tocs)
}

async function tocOf(layer: readonly TarItem[]): Promise<LayerToc> {
  const toc = { entries: [] as TocEntry[], whiteouts: [] as ByteString[], opaque: [] as ByteString[] }
  for await (const change of readChangeset(writeTar(layer))) {
    if (change.kind === 'add') toc.entries.push({ ...change.entry, ...(await digestOfBody(change)) })
    else if (change.kind === 'whiteout') toc.whiteouts.push(change.path)
    else toc.opaque.push(change.path)
  }
  return toc
}

async function digestOfBody(change: Extract<Change, { kind: 'add' }>) {
  if (change.entry.size === 0) return {}
  const digester = new Digester()
  for await (const chunk of change.body()) digester.update(chunk)
  return { digest: digester.digest() }
}

function describeMerged(tree: MergedTree): string[] {
  const lines: string[] = []
  const visit = (path: ByteString) => {
    const node = tree.get(path)
    assert.ok(node)
    const { type, mode, linkPath, digest } = node.entry
    lines.push(
      [path || '.', type, type === 'symlink' ? '' : mode.toString(8), linkPath ?? '', digest ?? ''].join(' '),
    )
    for (const name of tree.children(path)) visit((path === '' ? name : `${path}/${name}`) as ByteString)
  }
  visit('' as ByteString)
  return lines
}

const TYPES: Readonly<Record<string, string>> = {
  '40000': 'directory',
  '100000': 'file',
  '120000': 'symlink',
}

/** The lines of `unpacked` in the form of `describeMerged`. */
function withoutDetails(lines: readonly string[]): string[] {
  return lines
    .filter(line => !line.startsWith('zz-'))
    .map(line => {
      const [path, type = '', mode] = line.split(' ')
      const target = / -> (\S*)/.exec(line)?.[1] ?? ''
      const content = /"(.*)"/.exec(line)?.[1] ?? ''
      const digest = content === '' ? '' : digestOf(content)
      return [path, TYPES[type], TYPES[type] === 'symlink' ? '' : mode, target, digest].join(' ')
    })
}

function outline(layers: readonly TarItem[][]): string {
  return JSON.stringify(
    layers.map(layer => layer.map(({ entry: { type, path, linkPath } }) => [type, path, linkPath])),
  )
}
