/**
 * One row for each known vulnerability of another builder, runtime or archive library that could be ours as well:
 * the attack is made, and comes to nothing. Those that cannot apply are in docs/security-cves.md with the reason.
 */
import assert from 'node:assert/strict'
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import type { ContainerProcess } from '../../src/builder/exec/executor.ts'
import { NO_LIMITS } from '../../src/builder/exec/limits.ts'
import {
  makeRealDirectories,
  makeWorkingDirectory,
  openMountPoints,
} from '../../src/builder/exec/mount-points.ts'
import { openMountSources, placeMounts } from '../../src/builder/exec/mount-sources.ts'
import { KERNEL_DIRECTORIES, runtimeSpec } from '../../src/builder/exec/spec.ts'
import { createGit } from '../../src/builder/fetch/git-program.ts'
import { parseGitContext } from '../../src/builder/fetch/git-reference.ts'
import { selectImage } from '../../src/builder/images/select-image.ts'
import { createOutputTail } from '../../src/builder/ops/output-tail.ts'
import { resolveUser } from '../../src/builder/ops/users.ts'
import { createCacheMounts } from '../../src/builder/snapshot/cache-mounts.ts'
import { type Linux, loadLinux, O_PATH } from '../../src/linux/linux.ts'
import { parseImageConfig } from '../../src/oci/config.ts'
import { describeBytes, parseDescriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { CodedError } from '../../src/oci/errors.ts'
import { copyGraph, graphTarget } from '../../src/oci/graph.ts'
import { imageManifestBytes, MAX_MANIFEST_BYTES, parseManifest } from '../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../src/oci/media-type.ts'
import { parseReference } from '../../src/oci/reference.ts'
import type { TarItem } from '../../src/oci/tar/writer.ts'
import { createRemote } from '../../src/remote/client.ts'
import { openImageArchive } from '../../src/store/archive/open-archive.ts'
import { openStore } from '../../src/store/open.ts'
import {
  directory,
  entry,
  file,
  hardLink,
  needsRoot,
  never,
  symlink,
  temporaryDirectory,
  whiteout,
} from '../suites/snapshotter-kit.ts'
import { Bench } from '../unit/builder/ops/fixture.ts'
import { planText } from '../unit/builder/plan/planning.ts'
import { END_OF_ARCHIVE, extension, rawHeader, readAll, records, tarOf } from '../unit/oci/tar-bytes.ts'
import { makeVictim, throughEveryDoor } from './doors.ts'

interface Row {
  readonly cve: string
  readonly product: string
  readonly attack: string
  /** Makes the attack. */
  readonly run: (t: TestContext) => void | Promise<void>
  readonly needsRoot?: true
}

/** The files of a layer, context or archive. */
function files(...items: readonly ((victim: string) => TarItem)[]): Row['run'] {
  return async t => void (await throughEveryDoor(t, victim => [items.map(item => item(victim))]))
}

/** Files of several layers. */
function layers(...stack: readonly (readonly ((victim: string) => TarItem)[])[]): Row['run'] {
  return async t =>
    void (await throughEveryDoor(t, victim => stack.map(layer => layer.map(item => item(victim)))))
}

const always = (item: TarItem) => () => item
const up = '../'.repeat(30)

/** Bytes of a tar that no reader may take. */
function refusedTar(code: string, ...blocks: readonly Buffer[]): Row['run'] {
  return () => assert.rejects(readAll(Buffer.concat(blocks)), { code })
}

interface RootDirectory {
  readonly root: string
  readonly descriptor: number
  readonly victim: string
  readonly linux: Linux
}

/** A root filesystem beside a victim. */
function inRoot(use: (root: RootDirectory) => void | Promise<void>): Row['run'] {
  return async t => {
    const { outside, victim } = makeVictim(t)
    const root = `${outside}/root`
    mkdirSync(root)
    const descriptor = openSync(root, O_PATH | constants.O_DIRECTORY)
    try {
      await use({ root, descriptor, victim, linux: await loadLinux() })
    } finally {
      closeSync(descriptor)
    }
  }
}

interface Spec {
  readonly process: {
    readonly env: readonly string[]
    readonly user: { readonly additionalGids: readonly number[] }
    readonly capabilities: Readonly<Record<string, readonly string[]>>
  }
  readonly linux: { readonly maskedPaths: readonly string[]; readonly readonlyPaths: readonly string[] }
}

function spec(changes: Partial<ContainerProcess> = {}): Spec {
  const process: ContainerProcess = {
    args: ['true'],
    env: ['A=b'],
    cwd: '/',
    user: { uid: 5, gid: 6, additionalGids: [6] },
    hostname: 'h',
    network: 'none',
    extraHosts: [],
    mounts: [],
    limits: NO_LIMITS,
    isPrivileged: false,
    ...changes,
  }
  const host = {
    machine: 'x64',
    capabilities: [],
    outOfMemoryScore: 0,
    hasUnifiedCgroups: false,
    thermalPaths: [],
    isProcCovered: false,
  }
  return runtimeSpec({ root: '/r', process, files: [], mounts: [], cgroupsPath: '/x', host }) as Spec
}

const OWNERS = {
  'etc/passwd': { content: 'app:x:1000:1001::/:\n' },
  'etc/group': { content: 'app:x:1001:\nweb:x:33:app\n' },
}

async function user(text: string) {
  const bench = new Bench()
  try {
    await using tree = bench.tree(await bench.root(OWNERS))
    return await resolveUser(tree, text)
  } finally {
    bench.dispose()
  }
}

async function listen(handler: http.RequestListener, t: TestContext): Promise<string> {
  const server = http.createServer(handler)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const config = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] } }

const ROWS: readonly Row[] = [
  // What is unpacked
  {
    cve: 'CVE-2014-6407',
    product: 'docker',
    attack: 'a layer whose symlinks and hard links lead out of its root is unpacked through them',
    run: files(
      v => symlink('s', v),
      v => hardLink('h', `${v}/file`),
      always(file('s/file', 'owned')),
      always(hardLink('h2', 's/file')),
      always(file('h2', 'owned')),
    ),
  },
  {
    cve: 'CVE-2014-9356',
    product: 'docker',
    attack: 'absolute symlinks of an image or archive are followed on the machine',
    run: layers([v => symlink('etc', v)], [always(file('etc/file', 'owned')), always(whiteout('etc/file'))]),
  },
  {
    cve: 'CVE-2015-3629',
    product: 'docker (libcontainer)',
    attack: 'a symlink of the image stands where a mount goes',
    needsRoot: true,
    run: inRoot(({ root, descriptor, victim, linux }) => {
      symlinkSync(victim, `${root}/mnt`)
      const points = openMountPoints(linux, descriptor)
      assert.equal(points.mountPointAt('/mnt/new', 'directory'), `${victim}/new`)
      assert.ok(existsSync(`${root}${victim}/new`))
      points.removeStubs()
    }),
  },
  {
    cve: 'CVE-2018-15664',
    product: 'docker cp',
    attack: 'a directory that was looked at becomes a symlink before it is written to',
    run: files(
      always(directory('d')),
      always(file('d/x')),
      v => symlink('d', v),
      always(file('d/file', 'owned')),
      always(directory('d', { mode: 0o700 })),
    ),
  },
  {
    cve: 'CVE-2021-41089',
    product: 'docker cp',
    attack: 'the mode of an entry is set on what a symlink of that name points at',
    run: files(
      v => symlink('s', `${v}/file`),
      always(file('s', 'x', { mode: 0o4777 })),
      v => symlink('d', v),
      always(directory('d', { mode: 0o1777 })),
    ),
  },
  {
    cve: 'CVE-2021-32760',
    product: 'containerd',
    attack: 'a hard link to a symlink has its mode changed, and that of what it points at',
    run: files(
      v => symlink('s', `${v}/file`),
      always(hardLink('h', 's')),
      always(entry('link', 'h', { linkPath: symlink('x', 's').entry.linkPath as never, mode: 0o777 })),
    ),
  },
  {
    cve: 'CVE-2025-47290',
    product: 'containerd',
    attack: 'what is unpacked changes under the hands of who unpacks it',
    run: layers(
      [always(directory('a/b')), always(file('a/b/f'))],
      [v => symlink('a', v), always(file('a/b/file', 'owned')), always(whiteout('a/file'))],
    ),
  },
  {
    cve: 'CVE-2021-29136',
    product: 'umoci',
    attack: 'the root of a layer is itself a symlink',
    run: files(
      v => symlink('.', v),
      v => symlink('./', v),
      always(file('file', 'owned')),
    ),
  },
  {
    cve: 'CVE-2020-10696',
    product: 'buildah',
    attack: 'a context that comes as a tar holds symlinks out of it, and files behind them',
    run: files(
      v => symlink('ctx', v),
      always(file('ctx/file', 'owned')),
      always(file('Dockerfile', 'FROM scratch')),
    ),
  },
  {
    cve: 'CVE-2026-28406',
    product: 'kaniko',
    attack: 'a name in a context climbs out of the directory that it is unpacked to',
    run: files(
      v => file(`../victim/file`, v),
      v => file(`${up}${v.slice(1)}/file`, 'owned'),
      v => directory(`${up}${v.slice(1)}`, { mode: 0o777 }),
    ),
  },
  {
    cve: 'CVE-2018-1002207',
    product: 'mholt/archiver (Zip Slip)',
    attack: 'names with .. in the middle, and absolute ones',
    run: files(
      v => file(`a/b/../../../victim/file`, v),
      v => file(`${v}/file`, 'owned'),
    ),
  },
  {
    cve: 'CVE-2024-0406',
    product: 'mholt/archiver',
    attack: 'a symlink out of the directory, then a file of the same name and one below it',
    run: files(
      v => symlink('out', `${v}/file`),
      always(file('out', 'owned')),
      v => symlink('dir', v),
      always(file('dir/file', 'owned')),
    ),
  },
  {
    cve: 'CVE-2018-20834',
    product: 'node-tar',
    attack: 'a hard link to a file of the machine, then a file of the same name with new content',
    run: files(
      v => hardLink('x', `${v}/file`),
      always(file('x', 'owned')),
      v => hardLink('y', `${up}${v.slice(1)}/file`),
      always(file('y', 'owned')),
    ),
  },
  {
    cve: 'CVE-2018-20835',
    product: 'tar-fs',
    attack: 'a hard link to a file out of the directory, which is then written to',
    run: files(always(hardLink('x', '../victim/file')), always(file('x', 'owned', { mode: 0o777 }))),
  },
  {
    cve: 'CVE-2021-32803',
    product: 'node-tar',
    attack: 'a directory is remembered as made, then replaced by a symlink',
    run: files(
      always(directory('d')),
      always(file('d/a')),
      v => symlink('d', v),
      always(file('d/file', 'owned')),
    ),
  },
  {
    cve: 'CVE-2021-32804',
    product: 'node-tar',
    attack: 'an absolute name begins with more slashes than are taken away',
    run: files(
      v => file(`////${v}/file`, 'owned'),
      v => file(`/.//${v}/file`, 'owned'),
    ),
  },
  {
    cve: 'CVE-2021-37701',
    product: 'node-tar',
    attack: 'a backslash in a name makes a directory and a symlink look different that are the same',
    run: files(
      always(directory('a\\x')),
      v => symlink('a\\x', v),
      always(file('a\\x/file', 'owned')),
      always(file('a/x/../../..\\victim\\file', 'owned')),
    ),
  },
  {
    cve: 'CVE-2021-37712',
    product: 'node-tar',
    attack: 'two spellings of one name in Unicode, one a directory, the other a symlink',
    run: files(
      always(directory('caf\u00e9')),
      v => symlink('cafe\u0301', v),
      always(file('caf\u00e9/file', 'owned')),
      always(directory('\ufb01')),
      v => symlink('fi', v),
      always(file('\ufb01/file', 'owned')),
    ),
  },
  {
    cve: 'CVE-2021-37713',
    product: 'node-tar',
    attack: 'names of drives and of streams, which lead elsewhere on Windows',
    run: files(
      always(file('C:../victim/file', 'owned')),
      always(file('C:\\victim\\file', 'owned')),
      always(file('f:stream', 'x')),
    ),
  },
  {
    cve: 'CVE-2024-28863',
    product: 'node-tar',
    attack: 'a name of so many directories that making them fills the memory',
    run: refusedTar('limit-exceeded', extension('x', records({ path: 'd/'.repeat(10_000) })), rawHeader({})),
  },
  {
    cve: 'CVE-2026-23745',
    product: 'node-tar',
    attack: 'targets of hard links and symlinks are absolute, and nobody looks at them',
    run: files(
      v => hardLink('h', `${v}/file`),
      v => symlink('s', `${v}/file`),
      always(file('h', 'owned')),
      always(file('s', 'owned')),
    ),
  },
  {
    cve: 'CVE-2026-24842',
    product: 'node-tar',
    attack: 'the target of a hard link is checked from one place and resolved from another',
    run: files(
      always(directory('a/b')),
      always(hardLink('a/b/h', '../../victim/file')),
      always(file('a/b/h', 'owned')),
    ),
  },
  {
    cve: 'CVE-2026-26960',
    product: 'node-tar',
    attack: 'the target of a hard link goes through two symlinks that each lead up',
    run: files(
      always(directory('a/b/c')),
      always(symlink('a/b/c/up', '../..')),
      always(symlink('a/b/escape', 'c/up/../..')),
      always(hardLink('exfil', 'a/b/escape/victim/file')),
      always(file('exfil', 'owned')),
    ),
  },
  {
    cve: 'CVE-2024-12905',
    product: 'tar-fs',
    attack: 'links that are followed while the archive is unpacked',
    run: files(
      v => symlink('a', v),
      always(symlink('b', 'a')),
      always(hardLink('c', 'b/file')),
      always(file('b/file', 'owned')),
    ),
  },
  {
    cve: 'CVE-2025-48387',
    product: 'tar-fs',
    attack: 'a hard link to what only begins like the directory: its sibling',
    run: files(
      always(hardLink('h', '../destination-sibling/file')),
      always(symlink('s', '../dest-sibling')),
      always(file('s/file', 'owned')),
    ),
  },
  {
    cve: 'CVE-2025-59343',
    product: 'tar-fs',
    attack: 'the check of symlinks is passed by one that is made before the directory that it names',
    run: files(
      always(symlink('a', 'b/../../victim')),
      always(symlink('b', '.')),
      always(file('a/file', 'owned')),
      always(directory('b/x')),
    ),
  },
  {
    cve: 'CVE-2015-3631',
    product: 'docker',
    attack: 'what an image mounts over /proc takes the masks away',
    needsRoot: true,
    run: mountsOver('/proc', '/proc/sys', '/dev', '/sys'),
  },

  // Bytes
  {
    cve: 'CVE-2025-62518',
    product: 'tokio-tar and others (TARmageddon)',
    attack: 'PAX and the header tell two sizes, and entries hide in the difference',
    run: async () => {
      const smuggled = Buffer.concat([
        extension('x', records({ size: '512' })),
        rawHeader({ name: 'carrier', size: 0 }),
        rawHeader({ name: 'hidden' }),
        END_OF_ARCHIVE,
      ])
      assert.deepEqual(
        (await readAll(smuggled)).map(({ entry }) => [entry.path, entry.size]),
        [['carrier', 512]],
      )
    },
  },
  {
    cve: 'CVE-2022-2879',
    product: 'Go archive/tar',
    attack: 'an extended header of a gigabyte is read into memory',
    run: refusedTar('limit-exceeded', rawHeader({ type: 'x', size: 2 ** 30 })),
  },
  {
    cve: 'CVE-2025-58183',
    product: 'Go archive/tar',
    attack: 'the map of a sparse file of GNU tar has no end',
    run: refusedTar('tar-invalid', rawHeader({ type: 'S' })),
  },
  {
    cve: 'CVE-2017-14992',
    product: 'docker',
    attack: 'zeros after the end of a layer unpack to more than there is memory',
    run: () =>
      assert.rejects(
        async () => {
          const { readTar } = await import('../../src/oci/tar/reader.ts')
          const zeros = async function* () {
            yield END_OF_ARCHIVE
            for (;;) yield Buffer.alloc(1 << 16)
          }
          for await (const _ of readTar(zeros(), { archiveBytes: 1 << 20 }));
        },
        { code: 'limit-exceeded' },
      ),
  },

  // Images and registries
  {
    cve: 'CVE-2014-9358',
    product: 'docker',
    attack: 'an ID of an image in an archive is a path',
    run: async t => {
      const folder = temporaryDirectory(t)
      const from = `${folder}/images.tar`
      const manifest = JSON.stringify([{ Config: '../../../etc/passwd', RepoTags: ['a:b'], Layers: [] }])
      const { tarOf: docker } = await import('../unit/builder/ops/fixture.ts')
      writeFileSync(from, await docker({ 'manifest.json': { content: manifest } }))
      await assert.rejects(openImageArchive({ from, temporaryDirectory: folder, signal: never }), {
        code: 'content-missing',
      })
    },
  },
  {
    cve: 'CVE-2024-3727',
    product: 'containers/image',
    attack: 'a digest of a manifest or layer is a path, or of no algorithm that is checked',
    run: () => {
      for (const digest of ['../../etc/passwd', 'sha256:../../x', 'md5:abc', `sha256:${'a'.repeat(63)}/`, ''])
        assert.throws(() => parseDescriptor({ mediaType: 'a', digest, size: 1 }, 'layers[0]'), {
          code: 'descriptor-invalid',
        })
    },
  },
  {
    cve: 'CVE-2021-41190',
    product: 'OCI distribution',
    attack: 'a manifest is image and index at once, and everyone sees another',
    run: () => {
      const both = { schemaVersion: 2, config: {}, layers: [], manifests: [] }
      for (const mediaType of [MEDIA_TYPE.ociManifest, MEDIA_TYPE.ociIndex, undefined])
        assert.throws(() => parseManifest(Buffer.from(JSON.stringify({ ...both, mediaType }))), {
          code: 'manifest-invalid',
        })
    },
  },
  {
    cve: 'CVE-2021-21285',
    product: 'docker',
    attack: 'a malformed manifest ends the process that reads it',
    run: () => {
      for (const value of [null, 1, [], {}, { schemaVersion: 2, layers: [null] }, { schemaVersion: 1 }])
        assert.throws(() => parseManifest(Buffer.from(JSON.stringify(value))), CodedError)
      assert.throws(() => parseManifest(Buffer.from('['.repeat(1_000_000))), CodedError)
    },
  },
  {
    cve: 'CVE-2024-23650',
    product: 'buildkit',
    attack: 'fields of an image config that are missing or of another type end the process',
    run: () => {
      for (const value of [{}, { ...config, rootfs: null }, { ...config, rootfs: { diff_ids: [null] } }])
        assert.throws(() => parseImageConfig(Buffer.from(JSON.stringify(value))), { code: 'config-invalid' })
      for (const field of ['Env', 'Labels', 'Volumes', 'OnBuild', 'ExposedPorts', 'User'])
        assert.throws(
          () => parseImageConfig(Buffer.from(JSON.stringify({ ...config, config: { [field]: 5 } }))),
          {
            code: 'config-invalid',
          },
        )
      const odd = { ...config, history: [null, 5], config: null }
      assert.deepEqual(parseImageConfig(Buffer.from(JSON.stringify(odd))).history, [])
    },
  },
  {
    cve: 'CVE-2020-1702',
    product: 'containers/image',
    attack: 'a manifest of any size is read into memory',
    run: () =>
      assert.throws(() => parseManifest(Buffer.alloc(MAX_MANIFEST_BYTES + 1, ' ')), {
        code: 'manifest-invalid',
      }),
  },
  {
    cve: 'CVE-2023-25153',
    product: 'containerd',
    attack: 'a document in an archive of images has no end',
    run: async t => {
      const folder = temporaryDirectory(t)
      const from = `${folder}/images.tar`
      writeFileSync(
        from,
        await tarOf(file('oci-layout', ' '.repeat(MAX_MANIFEST_BYTES + 1)), file('index.json', '{}')),
      )
      await assert.rejects(openImageArchive({ from, temporaryDirectory: folder, signal: never }), {
        code: 'layout-invalid',
        message: /more than 4194304/,
      })
      const bytes = Buffer.from(JSON.stringify({ ...config, config: { Labels: { a: 'x'.repeat(9 << 20) } } }))
      const manifest = imageManifestBytes({
        mediaType: MEDIA_TYPE.ociManifest,
        config: describeBytes(MEDIA_TYPE.ociConfig, bytes),
        layers: [],
      })
      const root = describeBytes(MEDIA_TYPE.ociManifest, manifest)
      const source = { open: async () => Readable.from([manifest]) }
      await assert.rejects(selectImage(source, root, { os: 'linux', architecture: 'amd64' }, 'base'), {
        code: 'limit-exceeded',
      })
    },
  },
  {
    cve: 'CVE-2020-15157',
    product: 'containerd',
    attack: 'a layer names a URL of a stranger, who asks for credentials and gets those of the registry',
    run: async t => {
      const asked: string[] = []
      const stranger = await listen((request, response) => {
        asked.push(request.url ?? '')
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      }, t)
      const host = await listen((_, response) => response.writeHead(404).end(), t)
      using remote = createRemote({
        registries: {},
        credentials: { get: async () => ({ kind: 'password', username: 'a', password: 'b' }) },
        userAgent: 'test',
        now: () => 0,
        delay: async () => undefined,
      })
      using store = await openStore({ root: `${temporaryDirectory(t)}/store`, now: Date.now })
      const layer = {
        mediaType: MEDIA_TYPE.ociLayer,
        digest: digestOf('foreign'),
        size: 7,
        urls: [`http://${stranger}/layer`],
      }
      const from = remote.repository(parseReference(`${host}/app`), { signal: never })
      await assert.rejects(copyGraph(from, graphTarget(store.content), layer, { signal: never }), CodedError)
      assert.deepEqual(asked, [])
    },
  },

  // Containers
  {
    cve: 'CVE-2021-30465',
    product: 'runc',
    attack: 'the place of a mount is swapped for a symlink out of the root',
    needsRoot: true,
    run: inRoot(({ root, descriptor, victim, linux }) => {
      mkdirSync(`${root}/a`)
      symlinkSync(victim, `${root}/a/link`)
      const points = openMountPoints(linux, descriptor)
      points.mountPointAt('/a/link/new', 'file')
      assert.ok(!existsSync(`${victim}/new`))
      points.removeStubs()
    }),
  },
  {
    cve: 'CVE-2024-23652',
    product: 'buildkit',
    attack: 'the step makes the place of its mount a symlink, so that what is cleaned up lies elsewhere',
    needsRoot: true,
    run: inRoot(({ root, descriptor, victim, linux }) => {
      const points = openMountPoints(linux, descriptor)
      points.mountPointAt('/d/file', 'file')
      renameSync(`${root}/d`, `${root}/e`)
      symlinkSync(victim, `${root}/d`)
      points.removeStubs()
      assert.ok(existsSync(`${victim}/file`))
    }),
  },
  {
    cve: 'CVE-2024-21626',
    product: 'runc',
    attack: 'the working directory is an open directory of the runtime, by /proc/self/fd',
    needsRoot: true,
    run: inRoot(({ root, descriptor, linux }) => {
      mkdirSync(`${root}/proc`)
      symlinkSync('/proc/self/fd/7', `${root}/work`)
      for (const path of ['/proc/self/fd/7', '/work'])
        assert.throws(() => makeWorkingDirectory(linux, descriptor, path, { uid: 0, gid: 0 }), {
          code: 'run-failed',
        })
    }),
  },
  {
    cve: 'CVE-2024-1753',
    product: 'buildah',
    attack: 'the source of a bind mount is a symlink of the image to the root of the machine',
    needsRoot: true,
    run: bindOf('/'),
  },
  {
    cve: 'CVE-2024-11218',
    product: 'buildah',
    attack: 'stages that run at once change what one mounts of the other',
    needsRoot: true,
    run: bindOf(undefined),
  },
  {
    cve: 'CVE-2024-9407',
    product: 'buildah',
    attack: 'options of a mount in the Dockerfile are handed on as they are',
    run: async () => {
      for (const option of ['bind-propagation=shared', 'bind-propagation=/etc', 'z', 'relabel=shared'])
        await assert.rejects(planText(`FROM base\nRUN --mount=type=bind,target=/a,${option} true`), {
          code: 'dockerfile-invalid',
        })
    },
  },
  {
    cve: 'CVE-2024-9675',
    product: 'buildah',
    attack: 'the name of a cache mount is a path out of the folder of caches',
    needsRoot: true,
    run: async t => {
      const { outside } = makeVictim(t)
      const root = `${outside}/store`
      mkdirSync(root)
      const key = digestOf('../../../victim')
      await using mount = await createCacheMounts({ root }).acquire(
        { key, sharing: 'shared', mode: 0o755, uid: 0, gid: 0 },
        never,
        () => undefined,
      )
      assert.ok(mount.directory.startsWith(`${root}/cache-mounts/`))
      assert.match(mount.directory.slice(root.length), /^\/cache-mounts\/[0-9a-f]{64}\/0\/fs$/)
    },
  },
  {
    cve: 'CVE-2024-9676',
    product: 'containers/storage',
    attack: "an image's /etc/passwd is a symlink to a file of the machine, or has no end",
    run: async () => {
      const bench = new Bench()
      try {
        await using linked = bench.tree(await bench.root({ 'etc/passwd': { link: '/proc/self/environ' } }))
        await assert.rejects(resolveUser(linked, 'app'), { code: 'user-unknown' })
        await using huge = bench.tree(await bench.root({ 'etc/passwd': { content: 'a\n'.repeat(5 << 20) } }))
        await assert.rejects(resolveUser(huge, 'app'), { code: 'user-unknown', message: /bytes/ })
      } finally {
        bench.dispose()
      }
    },
  },
  {
    cve: 'CVE-2024-23651',
    product: 'buildkit',
    attack: 'two steps share a cache mount, and one swaps what the other mounts of it for a symlink',
    needsRoot: true,
    run: async t => {
      const { outside, victim } = makeVictim(t)
      const root = `${outside}/store`
      mkdirSync(root)
      const { writeTar } = await import('../../src/oci/tar/writer.ts')
      await using mount = await createCacheMounts({ root }).acquire(
        {
          key: digestOf('seeded'),
          sharing: 'shared',
          mode: 0o755,
          uid: 0,
          gid: 0,
          seed: () => writeTar([symlink('sub', victim), file('sub/file', 'owned')]),
        },
        never,
        () => undefined,
      )
      assert.ok(mount.directory.startsWith(root))
    },
  },
  {
    cve: 'CVE-2024-23653',
    product: 'buildkit',
    attack: 'a step is privileged although nobody has allowed it',
    run: async () => {
      assert.ok('seccomp' in spec().linux)
      await assert.rejects(planText('FROM base\nRUN --security=insecure x'), {
        message: /was not allowed/,
      })
    },
  },
  {
    cve: 'CVE-2022-36109',
    product: 'docker',
    attack: 'the primary group is not among the groups, so that files denied to it can be read',
    run: async () =>
      assert.deepEqual(
        [(await user('app')).additionalGids, (await user('app:web')).additionalGids],
        [[1001, 33], [33]],
      ),
  },
  {
    cve: 'CVE-2023-25173',
    product: 'containerd',
    attack: 'supplementary groups are not set up, and those of the builder stay',
    run: async () => {
      assert.deepEqual((await user('')).additionalGids, [0])
      assert.deepEqual(spec().process.user.additionalGids, [6])
    },
  },
  {
    cve: 'CVE-2022-2990',
    product: 'buildah',
    attack: 'a number as the user leaves the groups of root',
    run: async () => assert.deepEqual((await user('4711')).additionalGids, [0]),
  },
  {
    cve: 'CVE-2024-40635',
    product: 'containerd',
    attack: 'a user ID beyond 32 bits becomes root',
    run: async () => {
      for (const text of ['4294967296', '4294967295', '9'.repeat(30), '0:4294967296'])
        await assert.rejects(user(text), { code: 'user-unknown' })
    },
  },
  {
    cve: 'CVE-2022-24769',
    product: 'docker, containerd',
    attack: 'capabilities are inheritable, and any user can have those of a file',
    run: () => assert.deepEqual(spec().process.capabilities.inheritable ?? [], []),
  },
  {
    cve: 'CVE-2022-27651',
    product: 'buildah',
    attack: 'the same of builds, in the ambient set',
    run: () => assert.deepEqual(spec().process.capabilities.ambient ?? [], []),
  },
  {
    cve: 'CVE-2022-29162',
    product: 'runc',
    attack: 'the same of exec: what is allowed is what a process of the step starts with',
    run: () => {
      const { bounding, effective, permitted } = spec().process.capabilities
      assert.deepEqual([effective, permitted], [bounding, bounding])
      assert.ok(bounding?.every(name => name !== 'CAP_SYS_ADMIN'))
    },
  },
  {
    cve: 'CVE-2021-3602',
    product: 'buildah',
    attack: 'variables of the builder, with its secrets, are among those of the step',
    run: () => assert.deepEqual(spec().process.env, ['A=b']),
  },
  {
    cve: 'CVE-2019-16884',
    product: 'runc',
    attack: 'an image mounts over /proc, so that labels are written nowhere',
    needsRoot: true,
    run: kernelDirectories('/proc'),
  },
  {
    cve: 'CVE-2019-19921',
    product: 'runc',
    attack: "an image's /proc is a symlink",
    needsRoot: true,
    run: kernelDirectories('/proc'),
  },
  {
    cve: 'CVE-2025-31133',
    product: 'runc (fixed in 1.2.8, 1.3.3, 1.4.0-rc.3)',
    attack: "an image's /dev is a symlink, so that /dev/null, by which paths are masked, is another file",
    needsRoot: true,
    run: t => {
      assert.ok(spec().linux.maskedPaths.includes('/proc/kcore'))
      return kernelDirectories('/dev')(t)
    },
  },
  {
    cve: 'CVE-2025-52565',
    product: 'runc (fixed in 1.2.8, 1.3.3, 1.4.0-rc.3)',
    attack: 'the console is mounted over what a symlink in /dev leads to, before paths are masked',
    run: () => assert.equal('terminal' in spec().process && Reflect.get(spec().process, 'terminal'), false),
  },
  {
    cve: 'CVE-2025-52881',
    product: 'runc (fixed in 1.2.8, 1.3.3, 1.4.0-rc.3)',
    attack: 'writes to /proc go elsewhere, as mounts of the step lie over it',
    needsRoot: true,
    run: t => {
      assert.ok(spec().linux.readonlyPaths.includes('/proc/sys'))
      return mountsOver('/proc/self/attr', '/proc/sys/kernel', '/proc/1')(t)
    },
  },
  {
    cve: 'CVE-2022-31030',
    product: 'containerd',
    attack: 'a process prints without end, and all of it is kept in memory',
    run: () => {
      const tail = createOutputTail()
      for (let at = 0; at < 1000; at++) tail.add(Buffer.alloc(1 << 16, 'x'))
      assert.ok(tail.lines().join('').length <= 16 * 1024)
    },
  },

  // Sources
  {
    cve: 'CVE-2019-13139',
    product: 'docker',
    attack: 'the URL of a Git repository is an option of git that names a program',
    run: () => {
      for (const text of [
        'git@github.com/x.git#--upload-pack=touch /tmp/x;:',
        'ssh://-oProxyCommand=touch/x.git',
        '--upload-pack=x.git',
        'ext::sh -c touch% /tmp/x.git',
      ]) {
        const remote = parsedRemote(text)
        assert.ok(remote === undefined || !/^(-|ext::)|:\/\/-/.test(remote), remote)
      }
    },
  },
  {
    cve: 'CVE-2024-32002',
    product: 'git',
    attack: 'a submodule is checked out through a symlink into .git, where its hook is run',
    run: async t => {
      const environment = await gitEnvironment(t)
      assert.match(environment, /GIT_CONFIG_KEY_0='?core\.hooksPath'?\n.*GIT_CONFIG_VALUE_0='?\/dev\/null'?/s)
      assert.match(environment, /GIT_CONFIG_GLOBAL='?\/dev\/null/)
    },
  },
  {
    cve: 'CVE-2022-39253',
    product: 'git',
    attack: 'a submodule is a path of this machine, whose symlinks are copied as objects',
    run: async t => {
      assert.match(await gitEnvironment(t), /GIT_ALLOW_PROTOCOL='?http:https:git:ssh'?\n/)
    },
  },
]

/** A bind mount of a root filesystem in which `/link` leads to the machine; nothing of the machine is mounted. */
function bindOf(target: string | undefined): Row['run'] {
  return inRoot(async ({ root, victim, linux }) => {
    symlinkSync(target ?? victim, `${root}/link`)
    mkdirSync(`${root}/inside`)
    const work = `${root}-work`
    mkdirSync(work)
    const rootfs = [{ type: 'bind', source: root, options: [] }] as const
    const mount = { kind: 'snapshot', rootfs, source: '/link', target: '/m', readOnly: false } as const
    if (target === undefined) {
      await assert.rejects(openMountSources(linux, work, [mount]), { code: 'source-missing' })
      return
    }
    await using sources = await openMountSources(linux, work, [mount])
    assert.ok(existsSync(`${sources.mounts[0]?.mount.source}/inside`))
    assert.ok(!existsSync(`${sources.mounts[0]?.mount.source}${victim}`))
  })
}

/** An image that has a symlink where the kernel's file systems go. */
function kernelDirectories(path: string): Row['run'] {
  return inRoot(({ root, descriptor, victim, linux }) => {
    symlinkSync(victim, `${root}${path}`)
    assert.throws(() => makeRealDirectories(linux, descriptor, KERNEL_DIRECTORIES), { code: 'run-failed' })
  })
}

/** Mounts of a step over the kernel's file systems. */
function mountsOver(...targets: readonly string[]): Row['run'] {
  return inRoot(({ descriptor, linux }) => {
    const points = openMountPoints(linux, descriptor)
    const mount = { type: 'bind', source: '/tmp', options: ['bind'] } as const
    for (const target of targets)
      assert.throws(
        () => placeMounts(linux, points, [{ target, kind: 'directory', isDiscarded: false, mount }]),
        { code: 'run-failed' },
      )
    points.removeStubs()
  })
}

/** The environment that git is run in, as a program in its place sees it. */
async function gitEnvironment(t: TestContext): Promise<string> {
  const folder = temporaryDirectory(t)
  writeFileSync(`${folder}/git`, '#!/bin/sh\nexport -p\n', { mode: 0o755 })
  return createGit({ PATH: folder, GIT_CONFIG_GLOBAL: '/of/the/user' }).run(['x'], {
    directory: folder,
    signal: never,
  })
}

function parsedRemote(text: string): string | undefined {
  try {
    return parseGitContext(text)?.remote
  } catch (error) {
    if (error instanceof CodedError) return undefined
    throw error
  }
}

for (const { cve, product, attack, run, needsRoot: isForRoot } of ROWS)
  test(`${cve} (${product}): ${attack}`, { skip: isForRoot === true && needsRoot }, run)

test('what is harmless goes through every door', async t => {
  const harmless = [
    directory('d'),
    file('d/f', 'x', { mode: 0o4755 }),
    symlink('s', 'd/f'),
    hardLink('h', 'd/f'),
  ]
  const taken = await throughEveryDoor(t, () => [harmless])
  assert.equal(taken.length, needsRoot === false ? 5 : 3, taken.join(', '))
})

test('docs/security-cves.md tells of each row here, and why all others do not apply', () => {
  const text = readFileSync(new URL('../../docs/security-cves.md', import.meta.url), 'utf8')
  const [tested = '', others = ''] = text.split('## What cannot be ours')
  const rows = Array.from(tested.matchAll(/^\| (CVE-\d+-\d+) \| ([^|]+) \| ([^|]+) \|$/gm), row =>
    row.slice(1),
  )
  assert.deepEqual(
    rows,
    ROWS.map(({ cve, product, attack }) => [cve, product, attack]),
  )
  assert.ok(rows.length >= 35)
  const reasons = Array.from(others.matchAll(/^\| ((?:CVE-\d+-\d+(?:, )?)+) \| [^|]+ \| ([^|]{20,}) \|$/gm))
  assert.equal(reasons.length, others.split('\n').filter(line => line.startsWith('| CVE-')).length)
  assert.ok(reasons.length > 0)
  const named = Array.from(text.matchAll(/CVE-\d+-\d+/g), ([cve]) => cve)
  assert.equal(new Set(named).size, named.length, 'one row for each')
})
