import assert from 'node:assert/strict'
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeRealDirectories, openMountPoints } from '../../../../src/builder/exec/mount-points.ts'
import { loadLinux, O_PATH } from '../../../../src/linux/linux.ts'

const linux = await loadLinux()
const PATH = '/etc/resolv.conf'

function open(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  const descriptor = openSync(root, O_PATH | constants.O_DIRECTORY)
  t.after(() => {
    closeSync(descriptor)
    rmSync(root, { recursive: true })
  })
  return { root, descriptor, points: openMountPoints(linux, descriptor) }
}

test('a missing file is made and removed, and the time of its directory stays', t => {
  const { root, points } = open(t)
  mkdirSync(join(root, 'etc'))
  utimesSync(join(root, 'etc'), 5, 5)
  assert.equal(points.mountPointAt(PATH, 'file'), PATH)
  assert.equal(readFileSync(join(root, PATH), 'utf8'), '')
  assert.equal(lstatSync(join(root, 'etc')).mtimeMs, 5000)
  points.removeStubs()
  assert.equal(existsSync(join(root, PATH)), false)
  assert.equal(lstatSync(join(root, 'etc')).mtimeMs, 5000)
})

test('directories made for a missing file are removed with it, as BuildKit does', t => {
  const { root, points } = open(t)
  points.mountPointAt(PATH, 'file')
  points.removeStubs()
  assert.deepEqual(readdirSync(root), [])
})

test('a change of the directory by the step keeps its time', t => {
  const { root, points } = open(t)
  mkdirSync(join(root, 'etc'))
  points.mountPointAt(PATH, 'file')
  writeFileSync(join(root, 'etc/new'), '')
  utimesSync(join(root, 'etc'), 9, 9)
  points.removeStubs()
  assert.equal(lstatSync(join(root, 'etc')).mtimeMs, 9000)
})

test('what the step has filled is its own', t => {
  const { root, points } = open(t)
  points.mountPointAt('/made/here/file', 'file')
  points.mountPointAt('/other/file', 'file')
  writeFileSync(join(root, 'made/here/file'), 'content')
  rmSync(join(root, 'other/file'))
  symlinkSync('x', join(root, 'other/file'))
  points.removeStubs()
  assert.equal(readFileSync(join(root, 'made/here/file'), 'utf8'), 'content')
  assert.ok(lstatSync(join(root, 'other/file')).isSymbolicLink())
})

test('a file that is there stays, even when it is empty', t => {
  const { root, points } = open(t)
  mkdirSync(join(root, 'etc'))
  writeFileSync(join(root, PATH), '')
  points.mountPointAt(PATH, 'file')
  points.removeStubs()
  assert.equal(existsSync(join(root, PATH)), true)
})

const links: readonly (readonly [name: string, target: string, real: string])[] = [
  ['absolute', '/run/resolve/stub.conf', '/run/resolve/stub.conf'],
  ['relative', '../run/stub.conf', '/run/stub.conf'],
  ['out of the root', '../../../../run/stub.conf', '/run/stub.conf'],
  ['to another name', 'other.conf', '/etc/other.conf'],
]
for (const [name, target, real] of links)
  test(`a dangling symlink (${name}) is resolved inside the root`, t => {
    const { root, points } = open(t)
    mkdirSync(join(root, 'etc'))
    symlinkSync(target, join(root, PATH))
    assert.equal(points.mountPointAt(PATH, 'file'), real)
    assert.ok(lstatSync(join(root, real)).isFile())
    points.removeStubs()
    assert.equal(existsSync(join(root, real)), false)
    assert.ok(lstatSync(join(root, PATH)).isSymbolicLink())
  })

test('a file in place of a directory is an error that names it', t => {
  const { root, points } = open(t)
  writeFileSync(join(root, 'etc'), '')
  assert.throws(() => points.mountPointAt(PATH, 'file'), {
    code: 'run-failed',
    message: 'Cannot start container: "/etc" is not a directory',
  })
})

test('a loop of symlinks is an error', t => {
  const { root, points } = open(t)
  mkdirSync(join(root, 'etc'))
  symlinkSync('resolv.conf', join(root, PATH))
  assert.throws(() => points.mountPointAt(PATH, 'file'), { code: 'run-failed' })
})

test('a directory in place of a file is an error that names it', t => {
  const { root, points } = open(t)
  mkdirSync(join(root, PATH), { recursive: true })
  assert.throws(() => points.mountPointAt(PATH, 'file'), {
    code: 'run-failed',
    message: 'Cannot mount "/etc/resolv.conf": the image has a directory there',
  })
})

test('semantics 65: of the mount point of a step nothing stays, nor of the way to it', t => {
  const { root, points } = open(t)
  mkdirSync(join(root, 'var'))
  for (const path of ['.', 'var']) utimesSync(join(root, path), 5, 5)
  assert.equal(points.mountPointAt('/var/cache/deep', 'directory'), '/var/cache/deep')
  assert.equal(points.mountPointAt('/var/cache/file', 'file'), '/var/cache/file')
  assert.equal(points.mountPointAt('/run/secrets/s', 'file'), '/run/secrets/s')
  assert.ok(lstatSync(join(root, 'var/cache/deep')).isDirectory())
  points.removeStubs()
  assert.deepEqual(readdirSync(root, { recursive: true }), ['var'])
  for (const path of ['.', 'var']) assert.equal(lstatSync(join(root, path)).mtimeMs, 5000)
})

test('of the way to a mount point stays what the step has put something into', t => {
  const { root, points } = open(t)
  points.mountPointAt('/a/b/c', 'directory')
  writeFileSync(join(root, 'a/b/new'), '')
  points.removeStubs()
  assert.deepEqual(readdirSync(root, { recursive: true }).sort(), ['a', 'a/b', 'a/b/new'])
})

test('a directory to mount over is found inside the root, also behind symlinks', t => {
  const { root, points } = open(t)
  symlinkSync('../../../real/there', join(root, 'link'))
  assert.equal(points.mountPointAt('/link/d', 'directory'), '/real/there/d')
  points.removeStubs()
  assert.deepEqual(readdirSync(root), ['link'])
})

test('a directory is not mounted over a file', t => {
  const { root, points } = open(t)
  writeFileSync(join(root, 'file'), '')
  assert.throws(() => points.mountPointAt('/file', 'directory'), { code: 'run-failed' })
  assert.equal(existsSync(join(root, 'file')), true)
})

const kinds: readonly (readonly [name: string, make: (path: string) => void, problem?: string])[] = [
  ['a directory', mkdirSync],
  ['nothing', () => undefined],
  ['a file', path => writeFileSync(path, ''), 'it is a file'],
  ['a symlink to a directory', path => symlinkSync('/', path), 'it is a symlink'],
  ['a dangling symlink', path => symlinkSync('nowhere', path), 'it is a symlink'],
]
for (const [name, make, problem] of kinds)
  test(`${name} ${problem === undefined ? 'may' : 'may not'} be where the kernel's file systems are mounted`, t => {
    const { root, descriptor } = open(t)
    make(join(root, 'dev'))
    const check = () => makeRealDirectories(linux, descriptor, ['/proc', '/dev'])
    if (problem === undefined) check()
    else
      assert.throws(check, {
        code: 'run-failed',
        message: `Cannot start container: "/dev" of the image must be a directory, and ${problem}`,
      })
  })
