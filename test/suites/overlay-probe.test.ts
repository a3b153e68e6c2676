import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSnapshotter } from '../../src/builder/snapshot/open-snapshotter.ts'
import { overlayProblem } from '../../src/builder/snapshot/overlay-probe.ts'
import { loadLinux, MS_NODEV } from '../../src/linux/linux.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { writeTar } from '../../src/oci/tar/writer.ts'
import { file, needsRoot, never, temporaryDirectory } from './snapshotter-kit.ts'

test('on an overlay no other can be mounted: root filesystems are copied, and that is said', {
  skip: needsRoot,
}, async t => {
  const linux = await loadLinux()
  const directory = temporaryDirectory(t)
  assert.equal(await overlayProblem(linux, directory), undefined)
  for (const name of ['lower', 'upper', 'work', 'root']) mkdirSync(join(directory, name))
  const data = `lowerdir=${directory}/lower,upperdir=${directory}/upper,workdir=${directory}/work`
  linux.mount('overlay', `${directory}/root`, 'overlay', MS_NODEV, data)
  try {
    const root = `${directory}/root/store`
    const problem = await overlayProblem(linux, root)
    assert.equal(problem?.code, 'unsupported')
    const notes: string[] = []
    const snapshotter = await openSnapshotter({ root, needsMounts: true, note: text => notes.push(text) })
    await snapshotter.apply(digestOf('a'), undefined, writeTar([file('f')]), never)
    await using active = await snapshotter.prepare(digestOf('a'))
    assert.deepEqual(readdirSync(active.directory), ['f'])
    assert.equal(notes.length, 1)
    assert.match(notes[0] ?? '', /copies .* overlayfs cannot lie on the file system of/)
  } finally {
    linux.unmount(`${directory}/root`, { lazy: true })
  }
})

test('says that root may not mount', { skip: needsRoot }, () => {
  const program = `
    const { openSnapshotter } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/builder/snapshot/open-snapshotter.ts'))})
    const { mkdtempSync } = await import('node:fs')
    const root = mkdtempSync('/tmp/slipway-test-')
    await openSnapshotter({ root, needsMounts: true, note() {} }).catch(error => console.log(error.code, error.message, error.hint))
    await (await import('node:fs/promises')).rm(root, { recursive: true })`
  const output = execFileSync(
    'setpriv',
    ['--bounding-set=-sys_admin', process.execPath, '--input-type=module', '--eval', program],
    { encoding: 'utf8' },
  )
  assert.match(output, /^privilege-missing .*CAP_SYS_ADMIN.*--privileged/)
})
