import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { digestOf } from '../../../../src/oci/digest.ts'
import { copyGraph } from '../../../../src/oci/graph.ts'
import { readDockerArchive } from '../../../../src/store/archive/docker-archive.ts'
import { readOciArchive } from '../../../../src/store/archive/oci-archive.ts'
import { openOciLayout } from '../../../../src/store/archive/oci-layout.ts'
import { openImageArchive, openTarArchive } from '../../../../src/store/archive/open-archive.ts'
import { MemoryContent, signal, type TarFile, tarOf, temporaryDirectory } from './sample-images.ts'

const layer = await tarOf([{ name: 'etc/hostname', body: 'box' }])
const other = await tarOf([{ name: 'etc/hosts', body: 'none' }])
const configOf = (...layers: Buffer[]) =>
  JSON.stringify({
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: layers.map(tar => digestOf(tar)) },
  })
const manifestOf = (Layers: unknown, RepoTags: unknown = ['app:1'], Config: unknown = 'c.json') =>
  JSON.stringify([{ Config, RepoTags, Layers }])

async function archiveFile(t: TestContext, files: readonly TarFile[] | Buffer): Promise<string> {
  const file = join(await temporaryDirectory(t), 'a.tar')
  await writeFile(file, Buffer.isBuffer(files) ? files : await tarOf(files))
  return file
}

async function load(file: string): Promise<MemoryContent> {
  const copy = new MemoryContent()
  await using archive = await openTarArchive(file, index => readDockerArchive(index, signal), signal)
  for (const { descriptor } of archive.images) await copyGraph(archive.source, copy, descriptor, { signal })
  return copy
}

describe('docker archives of other writers are read', () => {
  const rows: readonly [string, readonly TarFile[]][] = [
    [
      'docker before 25',
      [
        { name: 'c.json', body: configOf(layer) },
        { name: 'x/layer.tar', body: layer },
        { name: 'manifest.json', body: manifestOf(['x/layer.tar']) },
      ],
    ],
    [
      'a layer shared by a symlink',
      [
        { name: 'x/layer.tar', linkTo: '../y/layer.tar' },
        { name: 'y/layer.tar', body: layer },
        { name: 'c.json', body: configOf(layer) },
        { name: 'manifest.json', body: manifestOf(['x/layer.tar']) },
      ],
    ],
    [
      'no names, leading ./',
      [
        { name: './c.json', body: configOf(layer) },
        { name: './l.tar', body: layer },
        { name: './manifest.json', body: manifestOf(['l.tar'], null) },
      ],
    ],
    [
      'a gzipped layer',
      [
        { name: 'c.json', body: configOf(layer) },
        { name: 'l.tar', body: gzipSync(layer) },
        { name: 'manifest.json', body: manifestOf(['l.tar']) },
      ],
    ],
    [
      'one layer twice',
      [
        { name: 'c.json', body: configOf(layer, layer) },
        { name: 'l.tar', body: layer },
        { name: 'manifest.json', body: manifestOf(['l.tar', 'l.tar']) },
      ],
    ],
  ]
  for (const [name, files] of rows) {
    test(name, async t => {
      const copy = await load(await archiveFile(t, files))
      assert.ok([...copy.blobs.values()].some(blob => blob.equals(layer) || blob.equals(gzipSync(layer))))
    })
  }
})

describe('docker archives that lie are refused', () => {
  const config = { name: 'c.json', body: configOf(layer) }
  const tar = { name: 'l.tar', body: layer }
  const named = (...layers: unknown[]) => ({ name: 'manifest.json', body: manifestOf(layers) })
  const rows: readonly [string, readonly TarFile[], string | RegExp][] = [
    ['nothing in it', [], 'content-missing'],
    ['no config', [tar, named('l.tar')], 'content-missing'],
    ['no layer', [config, named('l.tar')], 'content-missing'],
    [
      'a layer that is not the config’s',
      [config, { name: 'l.tar', body: other }, named('l.tar')],
      'digest-mismatch',
    ],
    ['more layers than diffIDs', [config, tar, named('l.tar', 'l.tar')], 'layout-invalid'],
    ['a symlink to itself', [config, { name: 'l.tar', linkTo: 'l.tar' }, named('l.tar')], 'content-missing'],
    [
      'a symlink out of the archive',
      [config, { name: 'l.tar', linkTo: '../../../../etc/passwd' }, named('l.tar')],
      'content-missing',
    ],
    ['an absolute layer', [config, tar, named('/etc/passwd')], 'content-missing'],
    ['a file named twice', [config, tar, tar, named('l.tar')], 'tar-invalid'],
    ['a manifest that is no list', [config, tar, { name: 'manifest.json', body: '{}' }], 'layout-invalid'],
    ['a manifest of numbers', [config, tar, { name: 'manifest.json', body: '[1]' }], 'layout-invalid'],
    ['layers that are no strings', [config, tar, named(1)], 'layout-invalid'],
    ['a config that is none', [{ name: 'c.json', body: '[]' }, tar, named('l.tar')], 'config-invalid'],
    [
      'a manifest too large',
      [config, tar, { name: 'manifest.json', body: Buffer.alloc(5_000_000, ' ') }],
      'layout-invalid',
    ],
  ]
  for (const [name, files, code] of rows) {
    test(name, async t => {
      await assert.rejects(load(await archiveFile(t, files)), { code })
    })
  }
})

describe('tars that lie end in an error, soon', () => {
  const files = [
    { name: 'c.json', body: configOf(layer) },
    { name: 'l.tar', body: layer },
    { name: 'manifest.json', body: manifestOf(['l.tar']) },
  ]
  /** Changes a field of the first header and mends the checksum. */
  const changed = async (at: number, bytes: string | Buffer) => {
    const tar = await tarOf(files)
    Buffer.from(bytes as string, 'latin1').copy(tar, at)
    tar.fill(' ', 148, 156)
    const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0)
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    return tar
  }
  const rows: readonly [string, () => Promise<Buffer>, string][] = [
    ['a directory with a size', () => changed(156, '5'), 'content-missing'],
    ['a size of no known form', () => changed(124, Buffer.from([0x90, 0, 0, 0])), 'tar-invalid'],
    ['a size beyond the end', () => changed(124, '77777777777'), 'tar-invalid'],
    ['a header that does not add up', async () => (await tarOf(files)).fill('x', 0, 1), 'tar-invalid'],
    ['a file cut short', async () => (await tarOf(files)).subarray(0, 2000), 'tar-invalid'],
    [
      'entries after the end',
      async () => Buffer.concat([await tarOf([{ name: 'c.json', body: 'x' }]), await tarOf(files)]),
      'content-missing',
    ],
  ]
  for (const [name, make, code] of rows) {
    test(name, async t => {
      await assert.rejects(load(await archiveFile(t, await make())), error => {
        assert.match(String((error as { code?: string }).code), new RegExp(`^(${code}|tar-invalid)$`))
        return true
      })
    })
  }

  test('every tar with one byte changed is read or refused', async t => {
    const tar = await tarOf(files)
    const file = join(await temporaryDirectory(t), 'a.tar')
    for (let at = 0; at < 512; at += 7) {
      const mutated = Buffer.from(tar)
      mutated[at] = (mutated[at] ?? 0) ^ 0x81
      mutated.fill(' ', 148, 156)
      const sum = mutated.subarray(0, 512).reduce((total, byte) => total + byte, 0)
      mutated.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
      await writeFile(file, mutated)
      await truncate(file, mutated.length)
      await load(file).catch(error => assert.ok('code' in error, String(error)))
    }
  })
})

test('OCI archives and layouts whose documents are broken are refused', async t => {
  const layout = { name: 'oci-layout', body: '{"imageLayoutVersion":"1.0.0"}' }
  const index = (body: string) => ({ name: 'index.json', body })
  const escaping =
    '{"schemaVersion":2,"manifests":[{"mediaType":"a","digest":"sha256:../../etc/passwd","size":1}]}'
  const rows: readonly [readonly TarFile[], string][] = [
    [[], 'content-missing'],
    [[layout], 'content-missing'],
    [[{ ...layout, body: '{"imageLayoutVersion":"2.0.0"}' }, index('{}')], 'layout-invalid'],
    [[layout, index('{"schemaVersion":2}')], 'manifest-invalid'],
    [[layout, index(escaping)], 'descriptor-invalid'],
  ]
  for (const [files, code] of rows) {
    await assert.rejects(openTarArchive(await archiveFile(t, files), readOciArchive, signal), { code })
    const directory = await temporaryDirectory(t)
    for (const { name, body } of files) await writeFile(join(directory, name), body ?? '')
    await assert.rejects(openOciLayout(directory), { code: files.length < 2 ? 'layout-invalid' : code })
  }
})

test('a layout whose blobs are pipes, directories or missing does not hang', async t => {
  const directory = await temporaryDirectory(t)
  await mkdir(join(directory, 'blobs/sha256'), { recursive: true })
  const descriptors = ['pipe', 'directory', 'missing', 'dangling'].map(name => ({
    mediaType: 'application/octet-stream',
    digest: digestOf(name),
    size: 4,
  }))
  const [pipe, folder, , dangling] = descriptors.map(({ digest }) =>
    join(directory, 'blobs/sha256', digest.slice(7)),
  )
  assert.ok(pipe && folder && dangling)
  await promisify(execFile)('mkfifo', [pipe])
  await mkdir(folder)
  await symlink('/nowhere', dangling)
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  await writeFile(join(directory, 'index.json'), '{"schemaVersion":2,"manifests":[]}')
  await using archive = await openOciLayout(directory)
  for (const descriptor of descriptors)
    await assert.rejects(archive.source.open(descriptor), { code: 'content-missing' })
})

test('a tar that is no archive of images is told from one', async t => {
  const file = await archiveFile(t, layer)
  await assert.rejects(openImageArchive({ from: file, temporaryDirectory: '/nowhere', signal }), {
    code: 'layout-invalid',
    hint: /slipway import/,
  })
})

test('what is kept of a stream has no name: a process that is killed leaves nothing', async t => {
  const temporary = await temporaryDirectory(t)
  const layout = await tarOf([
    { name: 'oci-layout', body: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { name: 'index.json', body: Buffer.from('{"schemaVersion":2,"manifests":[]}') },
  ])
  for (const bytes of [layout, gzipSync(layout)]) {
    let named: string[] = []
    const from = (async function* () {
      yield bytes.subarray(0, 600)
      named = await readdir(temporary)
      yield bytes.subarray(600)
    })()
    await using archive = await openImageArchive({ from, temporaryDirectory: temporary, signal })
    assert.deepEqual(archive.images, [])
    assert.deepEqual([named, await readdir(temporary)], [[], []])
  }
})

test('a stream on which nothing comes does not hold up who gives up', async t => {
  const temporary = await temporaryDirectory(t)
  const given = new AbortController()
  const opening = openImageArchive({
    from: new PassThrough(),
    temporaryDirectory: temporary,
    signal: given.signal,
  })
  setImmediate(() => given.abort(new Error('enough')))
  await assert.rejects(opening, { message: 'enough' })
})

test('a compressed archive that breaks off leaves no spool behind', async t => {
  const temporary = await temporaryDirectory(t)
  const whole = gzipSync(await tarOf([{ name: 'a', body: Buffer.alloc(100_000, 'a') }]))
  const file = await archiveFile(t, whole.subarray(0, whole.length - 20))
  await assert.rejects(openImageArchive({ from: file, temporaryDirectory: temporary, signal }), {
    code: 'layer-invalid',
  })
  assert.deepEqual(await readdir(temporary), [])
})
