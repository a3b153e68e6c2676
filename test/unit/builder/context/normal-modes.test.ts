import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { withNormalModes } from '../../../../src/builder/context/normal-modes.ts'
import type { FileTree, TreeNode } from '../../../../src/builder/tree/file-tree.ts'
import type { ByteString } from '../../../../src/oci/byte-string.ts'
import { git } from '../../../support/git-server.ts'
import { openWorkshop } from '../building.ts'

describe('withNormalModes()', () => {
  it('makes the checkouts of three umasks one context, for the cache and for the image', async () => {
    using workshop = await openWorkshop()
    workshop.write('dir/deep/file', 'file')
    workshop.write('run.sh', '#!/bin/sh\n')
    chmodSync(join(workshop.context, 'run.sh'), 0o755)
    symlinkSync('run.sh', join(workshop.context, 'link'))
    git(workshop.context, 'init', '--quiet')
    git(workshop.context, 'add', '.')
    git(workshop.context, 'commit', '--quiet', '-m', 'first')
    const clone = (umask: string): string => {
      const target = join(workshop.folder, `clone-${umask}`)
      execFileSync('sh', ['-c', `umask ${umask}; git clone --quiet "$0" "$1"`, workshop.context, target])
      execFileSync('rm', ['-r', join(target, '.git')])
      return target
    }
    const build = async (umask: string, normalizeModes: boolean) => {
      workshop.events.length = 0
      const dockerfile = 'FROM scratch\nCOPY . /app/\nCOPY run.sh dir /other/\n'
      const options = { context: clone(`${umask}`), normalizeModes }
      const { digest } = await workshop.build(dockerfile, options, { sourceDateEpoch: 1 })
      execFileSync('rm', ['-r', options.context])
      return { digest, cached: workshop.events.filter(({ kind }) => kind === 'cached').length }
    }
    const { digest, cached } = await build('002', true)
    assert.equal(cached, 0)
    for (const umask of ['022', '077']) assert.deepEqual(await build(umask, true), { digest, cached: 2 })
    const asItIs = await build('077', false)
    assert.notEqual(asItIs.digest, digest)
    // With the usual umask it changes nothing.
    assert.equal((await build('022', false)).digest, digest)
  })

  const node = (changes: Partial<TreeNode>): TreeNode => ({
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0,
    ...changes,
  })
  const modes: readonly (readonly [name: string, node: TreeNode, mode: number])[] = [
    ['a file for its owner alone', node({ mode: 0o600 }), 0o644],
    ['a file that the group may write', node({ mode: 0o664 }), 0o644],
    ['a program', node({ mode: 0o700 }), 0o755],
    ['a setuid program', node({ mode: 0o6775 }), 0o755],
    ['a file that others alone may execute', node({ mode: 0o601 }), 0o644],
    ['a file without any rights', node({ mode: 0 }), 0o644],
    ['a directory', node({ type: 'directory', mode: 0o3770 }), 0o755],
    ['a symlink', node({ type: 'symlink', mode: 0o777 }), 0o777],
    ['a pipe', node({ type: 'fifo', mode: 0o600 }), 0o644],
  ]
  const treeOf = (only: TreeNode): FileTree & { isIgnored(path: ByteString): boolean } => ({
    stat: async () => only,
    list: async () => ['x' as ByteString],
    digest: () => assert.fail(),
    prepare: () => assert.fail(),
    open: async () => Buffer.from('content'),
    isIgnored: path => path === 'ignored',
  })
  for (const [name, given, mode] of modes) {
    it(`gives ${name} mode ${mode.toString(8)}`, async () =>
      assert.deepEqual(await withNormalModes(treeOf(given)).stat('x' as ByteString), { ...given, mode }))
  }

  it('keeps capabilities, takes access lists away, and changes nothing else', async () => {
    const xattrs = new Map([
      ['system.posix_acl_access', Buffer.from('a')],
      ['security.capability', Buffer.from('c')],
    ])
    const tree = withNormalModes(treeOf(node({ xattrs, uid: 7 })))
    const kept = new Map([['security.capability', Buffer.from('c')]])
    assert.deepEqual(await tree.stat('x' as ByteString), node({ xattrs: kept, uid: 7 }))
    assert.deepEqual(await tree.list('' as ByteString), ['x'])
    assert.deepEqual(await tree.open('x' as ByteString), Buffer.from('content'))
    assert.equal(tree.isIgnored?.('ignored' as ByteString), true)
  })
})
