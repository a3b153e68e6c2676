import assert from 'node:assert/strict'
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { deviceMajor, deviceMinor, deviceNumber } from '../../../src/linux/device-number.ts'
import { isLinuxError } from '../../../src/linux/errors.ts'
import { openDirectoryInRoot, pathInRoot } from '../../../src/linux/in-root.ts'
import { AT_FDCWD, fdPath, loadLinux, O_PATH } from '../../../src/linux/linux.ts'
import { readXattrs } from '../../../src/linux/xattrs.ts'

const linux = await loadLinux()

function open(t: TestContext): { path: string; root: number } {
  const path = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  const root = openSync(path, O_PATH | constants.O_DIRECTORY)
  t.after(() => {
    closeSync(root)
    rmSync(path, { recursive: true })
  })
  return { path, root }
}

test('a failing call throws an error with the name of the errno', t => {
  const { root } = open(t)
  assert.throws(
    () => linux.mkdirat(root, 'no/such', 0o755),
    error => isLinuxError(error, 'ENOENT') && error.message === 'Cannot mkdirat "no/such": ENOENT',
  )
})

test('a path with a NUL byte is refused, not cut', t => {
  const { root, path } = open(t)
  writeFileSync(join(path, 'victim'), '')
  assert.throws(() => linux.unlinkat(root, 'victim\0.txt', 'other'), { code: 'EINVAL' })
  assert.ok(lstatSync(join(path, 'victim')))
})

test('names are bytes', t => {
  const { root, path } = open(t)
  const name = Buffer.from([0xff, 0xfe, 0x20])
  linux.symlinkat(Buffer.from([0x80]), root, name)
  assert.deepEqual(
    readlinkSync(Buffer.concat([Buffer.from(`${path}/`), name]), 'buffer'),
    Buffer.from([0x80]),
  )
})

test('utimensat() sets times before the epoch and nanoseconds, of a symlink itself', t => {
  const { root, path } = open(t)
  symlinkSync('nowhere', join(path, 's'))
  linux.utimensat(root, 's', { seconds: -5, nanoseconds: 7 })
  assert.equal(lstatSync(join(path, 's'), { bigint: true }).mtimeNs, -4_999_999_993n)
})

test('openInRoot() keeps absolute symlinks and .. inside', t => {
  const { root, path } = open(t)
  mkdirSync(join(path, 'etc'))
  writeFileSync(join(path, 'etc/passwd'), 'inside')
  symlinkSync('/etc', join(path, 'absolute'))
  symlinkSync('../../../../etc', join(path, 'relative'))
  for (const name of ['absolute/passwd', 'relative/passwd', '../../etc/passwd', '/etc/passwd']) {
    const file = linux.openInRoot(root, name, constants.O_RDONLY)
    assert.equal(readFileSync(file, 'utf8'), 'inside', name)
    closeSync(file)
  }
  assert.throws(() => linux.openInRoot(root, 'absolute/hostname', constants.O_RDONLY), { code: 'ENOENT' })
})

test('openInRoot() of an empty path is the root', t => {
  const { root } = open(t)
  const same = linux.openInRoot(root, '', O_PATH)
  assert.equal(pathInRoot(root, same).length, 0)
  closeSync(same)
})

test('extended attributes are binary, and sorted by name', t => {
  const { path } = open(t)
  const file = join(path, 'f')
  writeFileSync(file, '')
  linux.lsetxattr(file, 'user.b', Buffer.from([0, 0xff, 0x80]))
  linux.lsetxattr(file, 'user.a', Buffer.alloc(0))
  const ours = [...readXattrs(linux, file)].filter(([name]) => name.startsWith('user.'))
  assert.deepEqual(ours, [
    ['user.a', Buffer.alloc(0)],
    ['user.b', Buffer.from([0, 0xff, 0x80])],
  ])
  linux.lremovexattr(file, 'user.a')
  assert.throws(() => linux.lgetxattr(file, 'user.a'), { code: 'ENODATA' })
})

test('tryLock() gives shared locks to many, while nobody has the exclusive one', t => {
  const { path } = open(t)
  const file = join(path, 'lock')
  writeFileSync(file, '')
  const [one, two, three] = [openSync(file, 'r'), openSync(file, 'r'), openSync(file, 'r')]
  assert.equal(linux.tryLock(one, 'shared'), true)
  assert.equal(linux.tryLock(two, 'shared'), true)
  assert.equal(linux.tryLock(three), false)
  closeSync(one)
  closeSync(two)
  assert.equal(linux.tryLock(three), true)
  const four = openSync(file, 'r')
  assert.equal(linux.tryLock(four, 'shared'), false)
  closeSync(three)
  closeSync(four)
})

test('tryLock() is exclusive until the file is closed', t => {
  const { path } = open(t)
  writeFileSync(join(path, 'lock'), '')
  const [one, other] = [openSync(join(path, 'lock'), 'r'), openSync(join(path, 'lock'), 'r')]
  assert.equal(linux.tryLock(one), true)
  assert.equal(linux.tryLock(other), false)
  closeSync(one)
  assert.equal(linux.tryLock(other), true)
  closeSync(other)
})

test('openat() takes a path in an open directory, and leaves symlinks alone when told', t => {
  const { root, path } = open(t)
  symlinkSync('/etc', join(path, 's'))
  assert.throws(() => linux.openat(root, 's', constants.O_DIRECTORY | constants.O_NOFOLLOW), {
    code: 'ENOTDIR',
  })
  closeSync(linux.openat(AT_FDCWD, fdPath(root), O_PATH))
})

test('device numbers split as they were joined, also large ones', () => {
  for (const [major, minor] of [
    [1, 3],
    [259, 1_048_575],
    [0, 0],
    [4095, 255],
    [511, 1_000_000],
  ] as const) {
    const device = deviceNumber(major, minor)
    assert.deepEqual([deviceMajor(device), deviceMinor(device)], [major, minor])
  }
})

const openAt = (root: number, path: string, make: (name: string) => void) =>
  openDirectoryInRoot(linux, root, Buffer.from(path), (parent, name) => {
    make(name.toString())
    linux.mkdirat(parent, name, 0o755)
  })

const directories: readonly (readonly [path: string, real: string, made: readonly string[]])[] = [
  ['there', 'there', []],
  ['there/./new//deep/', 'there/new/deep', ['new', 'deep']],
  ['absolute/new', 'there/new', ['new']],
  ['dangling/x', 'gone/far/x', ['gone', 'far', 'x']],
  ['there/up/x', 'x', ['x']],
  ['new/../other', 'other', ['new', 'other']],
  ['../../x', 'x', ['x']],
]
for (const [path, real, made] of directories)
  test(`openDirectoryInRoot() of "${path}" is "${real}"`, t => {
    const { root, path: directory } = open(t)
    mkdirSync(join(directory, 'there'))
    symlinkSync('/there', join(directory, 'absolute'))
    symlinkSync('gone/far', join(directory, 'dangling'))
    symlinkSync('../..', join(directory, 'there/up'))
    const names: string[] = []
    const found = openAt(root, path, name => names.push(name))
    assert.equal(pathInRoot(root, found).toString(), real)
    assert.deepEqual(names, made)
    closeSync(found)
  })

test('openDirectoryInRoot() ends a loop of symlinks', t => {
  const { root, path } = open(t)
  symlinkSync('b', join(path, 'a'))
  symlinkSync('a', join(path, 'b'))
  assert.throws(() => openAt(root, 'a/x', () => undefined), { code: 'ELOOP' })
  symlinkSync('self/x', join(path, 'self'))
  assert.throws(() => openAt(root, 'self/y', () => undefined), { code: 'ELOOP' })
})

test('spreadDirectories() is an ability of ext4, and no error elsewhere', t => {
  const process = openSync('/proc', constants.O_DIRECTORY)
  t.after(() => closeSync(process))
  assert.equal(linux.spreadDirectories(process), false)
  const { path } = open(t)
  const directory = openSync(path, constants.O_DIRECTORY)
  t.after(() => closeSync(directory))
  assert.equal(typeof linux.spreadDirectories(directory), 'boolean')
})
