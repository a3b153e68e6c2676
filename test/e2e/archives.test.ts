/** Images in files: ours read by docker, podman, skopeo and umoci, and theirs by us. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Engine, startEngine } from './support/engine.ts'
import { type ImageContents, readImage, readTree } from './support/image-contents.ts'
import { podmanIn } from './support/peers.ts'
import { succeed } from './support/process.ts'
import { type Served, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = [
  'dockerd',
  'docker',
  'podman',
  'skopeo',
  'umoci',
  'runc',
  'getfattr',
  'setcap',
  'xz',
  'zstd',
]

const DOCKERFILE = `FROM base:1
RUN mkdir /d && echo one > /d/one && ln /d/one /d/two && chown 7:8 /d/one && mkfifo /d/pipe
RUN rm -r /home/app
COPY . /context
CMD ["/bin/cat", "/d/one"]
`

describe('images in files', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let engine: Engine
  let served: Served
  let context: string
  let expected: ImageContents
  let scratch: string
  const build = (...options: string[]): Promise<string> =>
    world.slipway.run(['build', '--network=host', ...options, context])
  const podman = (args: readonly string[]): Promise<string> => podmanIn(world.scratch)(args)
  /** Another tool's reading of an archive or directory is the image that we serve. */
  const assertSame = async (source: string, options: readonly string[] = []): Promise<void> => {
    const { config, tree } = await readImage(source, join(scratch, 'read'), options)
    assert.deepEqual(Object.fromEntries(tree), Object.fromEntries(expected.tree))
    assert.deepEqual(config.config, expected.config.config)
    assert.deepEqual(config.rootfs, expected.config.rootfs)
  }

  before(async () => {
    world = await createWorld({ base: true })
    scratch = mkdtempSync(join(world.scratch, 'scratch-'))
    context = await world.folder('context', { Dockerfile: DOCKERFILE, 'sub/file': 'f\n' })
    writeFileSync(join(context, 'capable'), 'c\n')
    await succeed('setcap', ['cap_net_raw+ep', join(context, 'capable')])
    await build('-t', 'app:1')
    served = await world.slipway.serve()
    expected = await readImage(`docker://${served.host}/app:1`, join(scratch, 'expected'))
    engine = await startEngine()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  it('save writes what docker loads and runs', async () => {
    const file = join(scratch, 'save.tar')
    await world.slipway.run(['save', 'app:1', '-o', file])
    await engine.docker(['load', '-i', file])
    assert.equal(await engine.docker(['run', '--rm', '--network=host', 'app:1']), 'one\n')
    await assertSame(`docker-archive:${file}`)
  })

  it('save --format oci writes what skopeo and podman read', async () => {
    const file = join(scratch, 'save-oci.tar')
    await world.slipway.run(['save', '--format', 'oci', 'app:1', '-o', file])
    await assertSame(`oci-archive:${file}`)
    await podman(['load', '-i', file])
    assert.match(await podman(['images', '--format', '{{.Repository}}:{{.Tag}}']), /app:1/)
  })

  it('load reads what docker saved, several images in one archive', async () => {
    const file = join(scratch, 'docker-saved.tar')
    await engine.docker(['tag', 'app:1', 'second:2'])
    await engine.docker(['save', '-o', file, 'app:1', 'second:2'])
    const other = slipwayAt(join(world.scratch, 'from-docker'))
    await other.run(['load', '-i', file])
    await using otherServed = await other.serve()
    await assertSame(`docker://${otherServed.host}/second:2`, ['--src-tls-verify=false'])
    assert.match(await other.run(['images']), /^app +1 /m)
  })

  it('load reads what podman saved, from standard input, in both formats', async () => {
    await podman(['pull', '--tls-verify=false', `${served.host}/app:1`])
    for (const format of ['docker-archive', 'oci-archive']) {
      const file = join(scratch, `podman-${format}.tar`)
      await podman(['save', '--format', format, '-o', file, `${served.host}/app:1`])
      const other = slipwayAt(join(world.scratch, `from-podman-${format}`))
      await other.run(['load'], { input: readFileSync(file) })
      await other.run(['tag', `${served.host}/app:1`, 'loaded:1'])
      await using otherServed = await other.serve()
      await assertSame(`docker://${otherServed.host}/loaded:1`, ['--src-tls-verify=false'])
    }
  })

  it('build -o type=docker and type=oci write archives and directories, several at once', async () => {
    const at = (name: string): string => join(scratch, name)
    const outputs = [
      `type=docker,dest=${at('o-docker.tar')}`,
      `type=oci,dest=${at('o-oci.tar')}`,
      `type=oci,tar=false,dest=${at('o-oci')}`,
      'type=cacheonly',
    ]
    await build('-t', 'out:1', ...outputs.flatMap(output => ['-o', output]))
    await assertSame(`docker-archive:${at('o-docker.tar')}`)
    await assertSame(`oci-archive:${at('o-oci.tar')}`)
    await assertSame(`oci:${at('o-oci')}:out:1`)
    await engine.docker(['load', '-i', at('o-docker.tar')])
    assert.equal(await engine.docker(['run', '--rm', '--network=host', 'out:1']), 'one\n')
    assert.equal(
      (await world.slipway.try(['inspect', 'out:1'])).code,
      1,
      'the store was not among the outputs',
    )
  })

  it('build -o DIR and -o - write the files of the image', async () => {
    const folder = join(scratch, 'files')
    await build('-o', folder)
    const tar = join(scratch, 'files.tar')
    const unpacked = await world.folder('unpacked', {})
    await succeed(
      'sh',
      [
        '-c',
        'mkdir -p "$3" && exec "$1" build --network=host -o - "$2" > "$4"',
        'sh',
        join(import.meta.dirname, '../../bin/slipway'),
        context,
        unpacked,
        tar,
      ],
      { env: world.slipway.env },
    )
    await succeed('tar', ['-C', unpacked, '--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', tar])
    for (const root of [folder, unpacked]) {
      const tree = await readTree(root)
      for (const path of ['d/one', 'd/two', 'd/pipe', 'context/capable', 'bin/busybox'])
        assert.equal(tree.get(path), expected.tree.get(path))
      assert.equal(tree.has('home/app'), false)
    }
  })

  it('copy goes between the store, a registry and files, both ways', async () => {
    const layout = join(scratch, 'copy-layout')
    await world.slipway.run(['copy', 'app:1', `oci:${layout}:v1`])
    await world.slipway.run(['copy', `oci:${layout}:v1`, `${served.host}/copied:1`])
    await world.slipway.run([
      'copy',
      `docker://${served.host}/copied:1`,
      `oci-archive:${join(scratch, 'copy.tar')}:v1`,
    ])
    await world.slipway.run([
      'copy',
      `oci-archive:${join(scratch, 'copy.tar')}:v1`,
      `docker-archive:${join(scratch, 'copy-docker.tar')}:copied:2`,
    ])
    await world.slipway.run(['copy', `docker-archive:${join(scratch, 'copy-docker.tar')}`, 'round:trip'])
    await assertSame(`docker://${served.host}/round:trip`, ['--src-tls-verify=false'])
  })

  it('import takes a root filesystem, plain or compressed, from a file or standard input', async () => {
    const tar = join(world.scratch, 'base.tar')
    await succeed('sh', ['-c', 'gzip -k "$1"; xz -k -0 "$1"; zstd -q -k "$1"', 'sh', tar])
    const plain = JSON.parse(await world.slipway.run(['inspect', 'base:1']))[0].RootFS.Layers
    for (const ending of ['gz', 'xz', 'zst']) {
      await world.slipway.run([
        'import',
        `${tar}.${ending}`,
        `imported:${ending}`,
        '--change',
        'CMD ["/bin/sh"]',
        '--change',
        'ENV A=b',
      ])
      const [image] = JSON.parse(await world.slipway.run(['inspect', `imported:${ending}`]))
      assert.deepEqual(image.RootFS.Layers, plain)
      assert.deepEqual(image.Config.Cmd, ['/bin/sh'])
      assert.ok(image.Config.Env.includes('A=b'))
    }
    await world.slipway.run(['import', '-', 'imported:stdin'], { input: readFileSync(tar) })
    const [image] = JSON.parse(await world.slipway.run(['inspect', 'imported:stdin']))
    assert.deepEqual(image.RootFS.Layers, plain)
  })
})
