/** Builds by a user of the machine who has no privilege; rootless-corpus.test.ts compares their images with root's. */
import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { OrdinaryUser } from './support/ordinary-user.ts'
import { type Outcome, succeed } from './support/process.ts'
import { createRootlessWorld, type RootlessWorld } from './support/rootless.ts'
import { type Slipway, slipwayAt } from './support/slipway.ts'
import { cannotRun } from './support/world.ts'

const EPOCH = { SOURCE_DATE_EPOCH: '1600000000' }

/** Runs a build of the working directory until its step prints; `pid` is its process. */
const UNTIL_STARTED = `"$0" build --progress=plain . > log 2>&1 & pid=$!
  until grep -q started$ log; do kill -0 $pid || { cat log; exit 1; }; sleep 0.1; done`

describe('a build without root', {
  skip: cannotRun({ root: true, programs: ['runc', 'newuidmap', 'useradd', 'setpriv', 'unshare', 'setcap'] }),
}, () => {
  let world: RootlessWorld
  let scratch: string
  let root: Slipway
  let user: OrdinaryUser
  /** Has no ids but his own. */
  let single: OrdinaryUser

  before(async () => {
    world = await createRootlessWorld()
    ;({ scratch, root } = world)
    user = await world.addUser({ subordinateIDs: true })
    single = await world.addUser({ subordinateIDs: false })
  })

  after(() => world?.[Symbol.asyncDispose]())

  /** Builds a context as root and as a user, each in a copy of his own. */
  async function buildBoth(
    name: string,
    who: OrdinaryUser,
    prepare: (context: string) => Promise<unknown>,
    options: readonly string[] = [],
  ): Promise<{ readonly ofRoot: Outcome; readonly ofUser: Outcome }> {
    const context = join(scratch, name)
    const copy = join(who.home, name)
    await prepare(context)
    await who.copy(context, copy)
    const args = ['build', '--network=host', '--progress=plain', ...options]
    const [ofRoot, ofUser] = await Promise.all([
      root.try([...args, context], { cwd: context, env: EPOCH }),
      who.slipway([...args, copy], { cwd: copy, env: EPOCH }),
    ])
    return { ofRoot, ofUser }
  }

  async function contextOf(who: OrdinaryUser, name: string, dockerfile: string): Promise<string> {
    await write({ Dockerfile: dockerfile })(join(scratch, name))
    await who.copy(join(scratch, name), join(who.home, name))
    return join(who.home, name)
  }

  function write(files: Readonly<Record<string, string>>): (context: string) => Promise<unknown> {
    return async context => {
      await succeed('mkdir', [context])
      for (const [name, text] of Object.entries(files))
        await succeed('sh', ['-c', 'printf %s "$1" > "$2"', 'sh', text, join(context, name)])
    }
  }

  it('makes the image of root where files have capabilities, owners and attributes', async () => {
    const files = {
      Dockerfile: `FROM base:1
ADD tool.tar /
RUN touch -d @1500000000 /tool && chown 1000:1001 /etc/group && chmod 4755 /bin/busybox
USER app
RUN echo app > /tmp/mine && mkfifo /tmp/pipe
USER root
RUN rm /etc/passwd && ln /tmp/mine /tmp/other && chown -h 65534:65534 /bin/sh
`,
    }
    const tar = `printf tool > tool; setcap cap_net_raw+ep tool; setfattr -n user.of -v me tool
      tar --xattrs --xattrs-include='*' --mtime=@1600000000 --numeric-owner --owner=7 --group=8 -cf tool.tar tool; rm tool`
    const { ofRoot, ofUser } = await buildBoth('capabilities', user, async context => {
      await write(files)(context)
      await succeed('sh', ['-c', tar], { cwd: context })
    })
    assert.equal(digestOf(ofUser), digestOf(ofRoot))
  })

  it('cannot make devices, and says so; those of layers stay what they are', async () => {
    const mknod = await buildBoth('mknod', user, write({ Dockerfile: 'FROM base:1\nRUN mknod /n c 1 3\n' }))
    assert.equal(mknod.ofUser.code, 1)
    assert.match(mknod.ofUser.stderr, /hint: .*device nodes without root/)
    const dockerfile = 'FROM base:1\nADD devices.tar /\nRUN chmod 600 /null && ln /block /other && rm /gone\n'
    const tar =
      'mknod null c 1 3; mknod block b 7 0; mknod gone c 1 5; tar --mtime=@1 -cf devices.tar null block gone'
    const { ofRoot, ofUser } = await buildBoth('devices', user, async context => {
      await write({ Dockerfile: dockerfile })(context)
      await succeed('sh', ['-c', `${tar}; rm null block gone`], { cwd: context })
    })
    assert.equal(digestOf(ofUser), digestOf(ofRoot))
  })

  it('writes folders that belong to the user', async () => {
    const context = write({
      Dockerfile: 'FROM base:1\nRUN mkdir /out && echo x > /out/file && chown -R 5:6 /out\n',
    })
    const { ofUser } = await buildBoth('folders', user, context, ['-o', 'result'])
    succeeded(ofUser)
    const file = await stat(join(user.home, 'folders/result/out/file'))
    const his = await stat(user.home)
    assert.deepEqual([file.uid, file.gid], [his.uid, his.gid])
  })

  it('leaves no process when it is killed', async () => {
    const marker = `7${String(process.pid).padStart(7, '0')}`
    const dockerfile = `FROM base:1\nRUN echo started; sleep ${marker} & sleep ${marker}\n`
    const context = await contextOf(user, 'killed', dockerfile)
    const script = `${UNTIL_STARTED}; kill -9 $pid; wait $pid; echo ended $?`
    const { stdout } = await user.run('sh', ['-c', script, user.program], { cwd: context })
    assert.match(stdout, /ended 137/)
    const isThere = async () => (await succeed('ps', ['-eo', 'args'])).includes(`sleep ${marker}`)
    for (let tries = 0; tries < 300 && (await isThere()); tries++) await succeed('sleep', ['0.1'])
    assert.equal(await isThere(), false)
  })

  it('is the process that was started: a signal for that one reaches it, and so does its exit code', async () => {
    const context = await contextOf(user, 'interrupted', 'FROM base:1\nRUN echo started; sleep 600\n')
    const script = `${UNTIL_STARTED}; kill -TERM $pid; wait $pid; echo ended $?`
    const { stdout } = await user.run('sh', ['-c', script, user.program], { cwd: context })
    assert.match(stdout, /ended 143/)
  })

  it('lets the user remove what steps have written', async () => {
    succeeded(await user.slipway(['prune']))
    const { stdout } = await user.run('find', [
      join(user.home, '.local/share/slipway/snapshots'),
      '-mindepth',
      '2',
    ])
    assert.equal(stdout, '')
  })

  describe('with one id alone', () => {
    it('keeps owners in layers, also of what steps change', async () => {
      const base = 'FROM base:1\nCOPY --chown=1000:1001 . /srv/\n'
      const steps =
        'RUN chmod 600 /srv/a && echo b >> /srv/b && touch -h -d @1500000000 /srv/link && chmod 700 /srv/d\n'
      const { ofRoot, ofUser } = await buildBoth('owners', single, async context => {
        await write({ Dockerfile: base + steps, a: 'a', b: 'b' })(context)
        await succeed('sh', ['-c', 'ln -s a link; mkdir d; echo c > d/c'], { cwd: context })
      })
      assert.equal(digestOf(ofUser), digestOf(ofRoot))
      assert.match(ofUser.stderr, /no line in \/etc\/subuid/)
    })

    it('runs steps by chroot, although groups cannot be changed', async () => {
      const files = { Dockerfile: 'FROM base:1\nRUN echo a > /made && id -u >> /made\n' }
      const { ofRoot, ofUser } = await buildBoth('by-chroot', single, write(files), ['--isolation=chroot'])
      assert.equal(digestOf(ofUser), digestOf(ofRoot))
      const asApp = await contextOf(single, 'chroot-as-app', 'FROM base:1\nUSER app\nRUN true\n')
      const { stderr } = await single.slipway(['build', '--isolation=chroot', asApp])
      assert.match(stderr, /user 1000: .* no id but 0\nhint: .*uidmap/)
    })

    it('says what is missing where a step becomes another user, or gives a file to one', async () => {
      const asApp = { Dockerfile: 'FROM base:1\nUSER app\nRUN true\n' }
      const { ofUser } = await buildBoth('as-app', single, write(asApp))
      assert.equal(ofUser.code, 1)
      assert.match(ofUser.stderr, /user 1000: .* no id but 0\nhint: .*uidmap/)
      const cache = 'FROM base:1\nRUN --mount=type=cache,target=/c,uid=7 true\n'
      const { ofUser: cached } = await buildBoth('cached', single, write({ Dockerfile: cache }))
      assert.match(cached.stderr, /user 7: .* no id but 0\nhint: .*uidmap/)
      const chown = { Dockerfile: 'FROM base:1\nRUN chown 5:6 /etc/group\n' }
      const { ofUser: given } = await buildBoth('chown', single, write(chown))
      assert.equal(given.code, 1)
      assert.match(given.stderr, /hint: .*uidmap/)
    })
  })

  it('warns root, who adds to the store of a user what that user cannot read', async () => {
    const load = ['load', '-i', join(scratch, 'image.tar')]
    const { stderr } = await slipwayAt(join(single.home, '.local/share/slipway')).try(load)
    assert.match(stderr, /^warning: the store .* is of user \d+, who cannot read what root adds/m)
    assert.doesNotMatch((await root.try(load)).stderr, /warning/)
    assert.doesNotMatch((await user.slipway(load)).stderr, /warning/)
  })

  it('runs steps nowhere where the kernel gives no namespace, and says why; what needs none is built', async () => {
    const dockerfile = 'FROM base:1 AS copied\nCOPY Dockerfile /\nFROM copied\nRUN true\n'
    const context = await contextOf(user, 'refused', dockerfile)
    // In a namespace without ids nobody can make another one.
    const refused = (...args: readonly string[]) =>
      user.run('unshare', ['-U', user.program, 'build', ...args, context])
    succeeded(await refused('--target', 'copied'))
    const { code, stderr } = await refused()
    assert.equal(code, 1)
    assert.match(stderr, /RUN needs root, or a user namespace, which this machine refuses: .*not permitted/)
    assert.match(stderr, /^hint: .*slipway doctor/m)
  })
})

function succeeded({ code, stdout, stderr }: Outcome): void {
  assert.equal(code, 0, `${stdout}\n${stderr}`)
}

function digestOf(built: Outcome): string {
  succeeded(built)
  const [, digest] = /^digest +(sha256:[0-9a-f]{64})$/m.exec(built.stderr) ?? []
  assert.ok(digest !== undefined, built.stderr)
  return digest
}
