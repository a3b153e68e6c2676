/**
 * Projects as people have them (`fixtures/real`), built over one Debian, pulled by a Docker engine from our registry
 * and run: what counts is what the programs in the images do.
 */
import assert from 'node:assert/strict'
import { appendFile, cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { debianRootfs } from './support/base-images.ts'
import { eventually, freePort, startContainer } from './support/containers.ts'
import { type Engine, startEngine } from './support/engine.ts'
import type { Outcome } from './support/process.ts'
import type { Served } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = ['dockerd', 'docker', 'mmdebstrap', 'runc']
const FIXTURES = join(import.meta.dirname, '../../fixtures/real')

describe('real Dockerfiles', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let engine: Engine
  let served: Served
  before(async () => {
    world = await createWorld()
    const command = ['--change', 'CMD ["bash"]']
    await world.slipway.run(['import', await debianRootfs(), 'debian:bookworm-slim', ...command])
    served = await world.slipway.serve()
    engine = await startEngine()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  /** Returns what the build printed. */
  async function build(
    name: string,
    options: readonly string[] = [],
    context = join(FIXTURES, name),
  ): Promise<string> {
    const args = ['build', '--network=host', '--progress=plain', '-t', name, ...options, context]
    const { code, stderr } = await world.slipway.try(args, { timeoutMs: 900_000 })
    assert.equal(code, 0, stderr)
    return stderr
  }

  /** @returns the image's name for the engine */
  async function pull(name: string): Promise<string> {
    const image = `${served.host}/${name}`
    await engine.docker(['pull', '--quiet', image])
    return image
  }

  /** A copy of a fixture to change. */
  async function copyOf(name: string): Promise<string> {
    const folder = join(world.scratch, `copy-of-${name}`)
    await cp(join(FIXTURES, name), folder, { recursive: true, preserveTimestamps: true })
    return folder
  }

  const runToEnd = (image: string, args: readonly string[] = [], input = ''): Promise<Outcome> =>
    engine.tryDocker(['run', '--rm', '--interactive', '--network=host', image, ...args], { input })

  async function configOf(name: string): Promise<Record<string, unknown>> {
    return JSON.parse(await world.slipway.run(['inspect', name]))[0].Config
  }

  it('Node: npm ci in a stage of its own, an image without npm', async () => {
    const printed = await build('node')
    assert.doesNotMatch(printed, /node --test/, 'a stage that nothing needs is not built')
    assert.match(await build('node-tests', ['--target=test'], join(FIXTURES, 'node')), /# pass 1/)
    const port = await freePort()
    await using server = await startContainer(engine, await pull('node'), ['--env', `PORT=${port}`])
    const at = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
    assert.equal(await eventually(() => at('/?name=Ada')), 'Hello, Ada!\n')
    assert.equal(await at('/version'), '1.4.2\n')
    assert.equal(await at('/whoami'), '1001:1001\n')
    assert.equal(await server.exec(['ls', '-A', '/app']), 'node_modules\npackage.json\nsrc\n')
    assert.notEqual((await engine.tryDocker(['exec', server.name, 'npm'])).code, 0)
    await eventually(server.health, status => status === 'healthy')
    assert.equal(await server.stop(10), 0)
    assert.match(await server.logs(), /closing/)
  })

  it('a monorepo: packages by --parents, a named context, a base of choice, mounts of each kind', async () => {
    const folder = await copyOf('monorepo')
    const of = (service: string) => [
      ...[
        '-f',
        join(folder, 'docker/service.Dockerfile'),
        '--build-context',
        `schemas=${join(folder, 'schemas')}`,
      ],
      ...[
        '--build-arg',
        `SERVICE=${service}`,
        '--build-arg',
        'REVISION=4.2+dirty',
        '--secret',
        'id=registry,env=TOKEN',
      ],
    ]
    await build('api', of('api'), folder)
    const worker = await build('worker', of('worker'), folder)
    assert.ok(isCached(worker, 'RUN link-workspaces') && isCached(worker, 'RUN node --test'), worker)
    assert.equal((await runToEnd(await pull('api'))).stdout, 'api@4.2: order of 19.99 EUR\n')
    assert.equal((await runToEnd(await pull('worker'))).stdout, 'worked for 0.05 EUR\n')

    await appendFile(join(folder, 'packages/money/src/money.js'), '// more\n')
    await writeFile(join(folder, 'README.md'), 'ignored')
    const changed = await build('api', of('api'), folder)
    assert.ok(isCached(changed, 'RUN link-workspaces') && !isCached(changed, 'RUN node --test'), changed)
  })

  it('Python: a wheel of the project, a virtual environment, flask behind gunicorn', async () => {
    await build('python')
    const port = await freePort()
    await using server = await startContainer(engine, await pull('python'), ['--env', `PORT=${port}`])
    const url = `http://127.0.0.1:${port}`
    const index = await eventually(async () => (await fetch(url)).json())
    assert.deepEqual(index, { service: 'wordcount', user: 'web' })
    const counted = await fetch(`${url}/count`, { method: 'POST', body: 'to be or not to be' })
    assert.deepEqual(await counted.json(), { to: 2, be: 2, or: 1, not: 1 })
    assert.equal((await engine.tryDocker(['exec', server.name, 'pip', '--version'])).code, 0)
    assert.equal((await engine.tryDocker(['exec', server.name, 'test', '-e', '/wheels'])).code, 1)
    assert.equal(await server.stop(10), 0)
  })

  it('Go: compiled from a mount of the context, with a cache that stays, to an image of two files', async () => {
    const folder = await copyOf('go')
    await build('go', ['--build-arg', 'VERSION=1.5.0'], folder)
    const image = await pull('go')
    assert.equal((await runToEnd(image, ['version'])).stdout, '1.5.0\n')
    assert.equal((await runToEnd(image, ['?'])).code, 64)
    const port = await freePort()
    await using server = await startContainer(engine, image, ['--env', `PORT=${port}`])
    const answer = await eventually(async () => (await fetch(`http://127.0.0.1:${port}`)).text())
    assert.equal(answer, 'clock 1.5.0, up 0 min, user 65532\n')
    assert.equal(await server.stop(10), 0)

    const main = join(folder, 'cmd/clock/main.go')
    await writeFile(main, (await readFile(main, 'utf8')).replace('usage: clock', 'usage: clock.v2'))
    await writeFile(join(folder, 'README.md'), 'ignored')
    const changed = await build('go', ['--build-arg', 'VERSION=1.5.0'], folder)
    assert.ok(isCached(changed, 'RUN --mount=type=cache,target=/root/go/pkg/mod go mod download'), changed)
    assert.match((await runToEnd(await pull('go'), ['?'])).stderr, /clock\.v2/)
  })

  it('Rust: dependencies before sources, tests on the way, an exit code of its own', async () => {
    const folder = await copyOf('rust')
    await build('rust', [], folder)
    const image = await pull('rust')
    assert.equal((await runToEnd(image, ['1994', '2026'])).stdout, 'MCMXCIV\nMMXXVI\n')
    assert.match((await runToEnd(image)).stdout, /^usage: roman/)
    const { code, stderr } = await runToEnd(image, ['x'])
    assert.equal(code, 3)
    assert.match(stderr, /invalid digit/)

    await appendFile(join(folder, 'numerals/src/lib.rs'), '// more\n')
    const changed = await build('rust', [], folder)
    assert.ok(isCached(changed, 'RUN mkdir -p src'), changed)
  })

  it('Java: a jar and a runtime made for it, a shell that makes room for the program', async () => {
    await build('java')
    const port = await freePort()
    await using server = await startContainer(engine, await pull('java'), ['--env', `PORT=${port}`])
    const at = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
    assert.equal(await eventually(() => at('/')), 'Simplicity is prerequisite for reliability.\n')
    assert.equal(await at('/1'), 'Less is more.\n')
    // What Java says after a signal that ended it.
    assert.equal(await server.stop(10), 143)
    assert.match(await server.logs(), /serving as java\n(.*\n)*bye/)
  })

  it('nginx: without root, a site from a template, a health check, a signal of its own', async () => {
    await build('nginx')
    const { StopSignal, Healthcheck, User, ExposedPorts } = await configOf('nginx')
    assert.deepEqual([StopSignal, User, ExposedPorts], ['SIGQUIT', 'www-data', { '8080/tcp': {} }])
    const check = 'curl -fsS "http://127.0.0.1:$NGINX_PORT/healthz" || exit 1'
    assert.deepEqual(Healthcheck, {
      Test: ['CMD-SHELL', check],
      Interval: 1_000_000_000,
      Timeout: 2_000_000_000,
      Retries: 5,
    })
    const port = await freePort()
    await using server = await startContainer(engine, await pull('nginx'), ['--env', `NGINX_PORT=${port}`])
    const url = `http://127.0.0.1:${port}`
    assert.match(await eventually(async () => (await fetch(url)).text()), /It is served/)
    const lost = await fetch(`${url}/none`)
    assert.equal(lost.status, 404)
    assert.match(await lost.text(), /Nothing here/)
    assert.equal((await fetch(`${url}/old/x`, { redirect: 'manual' })).status, 301)
    await eventually(server.health, status => status === 'healthy')
    assert.equal(await server.stop(10), 0)
    assert.match(await server.logs(), /"GET \/none HTTP\/1\.1" 404/)
  })

  it('PostgreSQL: a volume, a database made at the first start and found at the second', async () => {
    await build('postgres')
    const { Volumes, StopSignal } = await configOf('postgres')
    assert.deepEqual([Volumes, StopSignal], [{ '/var/lib/postgresql/data': {} }, 'SIGINT'])
    const image = await pull('postgres')
    const refused = await runToEnd(image)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /POSTGRES_PASSWORD: is to be set/)
    const port = await freePort()
    const options = ['--env', 'POSTGRES_PASSWORD=pw', '--env', `PGPORT=${port}`]
    const volume = ['--volume', 'planets:/var/lib/postgresql/data']
    const select = [
      'env',
      'PGPASSWORD=pw',
      'psql',
      '-h',
      '127.0.0.1',
      '-U',
      'postgres',
      '-Atc',
      'SELECT sum(moons), current_user FROM planets',
    ]
    for (const isFirst of [true, false]) {
      await using server = await startContainer(engine, image, [...options, ...volume])
      assert.equal(await eventually(() => server.exec(select)), '98|postgres\n')
      assert.equal(await server.exec(['stat', '-c', '%U %a', '/var/lib/postgresql/data']), 'postgres 700\n')
      assert.equal((await server.logs()).includes('running /docker-entrypoint-initdb.d/02-role.sh'), isFirst)
      assert.equal(await server.stop(20), 0)
      assert.match(await server.logs(), /received fast shutdown request/)
    }
    await engine.docker(['volume', 'rm', 'planets'])
  })

  it('a static site: pages made in a stage, served by a busybox over nothing', async () => {
    await build('site')
    const port = await freePort()
    const image = await pull('site')
    await using server = await startContainer(engine, image, [], ['-p', `127.0.0.1:${port}`])
    const url = `http://127.0.0.1:${port}`
    const page = await eventually(async () => (await fetch(url)).text())
    assert.match(page, /<title>Tea<\/title>(.*\n)*.*<em>water<\/em>/)
    const deeper = await fetch(`${url}/guide/kettles.html`)
    assert.match(deeper.headers.get('content-type') ?? '', /^text\/html; ?charset=utf-8$/)
    assert.match(await deeper.text(), /<li>Boil<\/li>/)
    assert.match(await (await fetch(`${url}/assets/style.css`)).text(), /serif/)
    const lost = await fetch(`${url}/none`)
    assert.deepEqual([lost.status, /No such tea/.test(await lost.text())], [404, true])
    await server.stop(1).catch(() => undefined)
  })

  it('C: cmake and its tests in stages, a static program alone in its image', async () => {
    const folder = await copyOf('c')
    await build('c', [], folder)
    const image = await pull('c')
    const { code, stdout } = await runToEnd(image, [], '1 2 3\n-4 x\n')
    assert.deepEqual([code, stdout], [0, '6\n-4\n'])
    assert.equal((await runToEnd(image)).code, 2)
    const { size } = JSON.parse(await world.slipway.run(['images', '--format', 'json'])).find(
      (row: { repository: string }) => row.repository === 'c',
    )
    assert.ok(size < 1_000_000, `${size} bytes`)

    await writeFile(join(folder, 'src/test_sum.c'), 'int main(void) { return 1; }\n')
    const { code: failed, stderr } = await world.slipway.try(['build', '--network=host', folder])
    assert.equal(failed, 1)
    assert.match(stderr, /1 tests failed out of 1/)
    assert.match(stderr, /> 12 \| RUN cd \/build && ctest/)
  })

  it('cron under an init: what the job prints is in the log, and a stop is a stop', async () => {
    await build('cron')
    await using cron = await startContainer(engine, await pull('cron'), ['--env', 'CUSTOMER=Ada'])
    assert.equal((await cron.exec(['cat', '/proc/1/comm'])).trim(), 'tini')
    const log = await eventually(cron.logs, text => text.includes('report'), 90_000)
    assert.match(log, /^report for Ada at UTC$/m)
    assert.match(await cron.exec(['cat', '/var/spool/reports/times']), /^\d+\n$/)
    await cron.stop(10)
  })

  it('PHP: a shell form that leaves, a database file that only its user writes', async () => {
    await build('php')
    const port = await freePort()
    await using server = await startContainer(engine, await pull('php'), ['--env', `PORT=${port}`])
    const visit = async () => (await fetch(`http://127.0.0.1:${port}`)).text()
    assert.equal(await eventually(visit), 'production: visit 1, error display off\n')
    assert.equal(await visit(), 'production: visit 2, error display off\n')
    assert.equal(
      await server.exec(['ls', '/var/www', '/var/www/tests']),
      '/var/www:\npublic\nsrc\ntests\nvar\n\n/var/www/tests:\nsmoke.php\n',
    )
    assert.equal(
      await server.exec(['find', '/usr/share/man', '-type', 'f', '-newer', '/etc/dpkg/dpkg.cfg.d/docker']),
      '',
    )
    await server.stop(10)
  })

  it('an image for images: triggers of the parent bring in the project of the child', async () => {
    await build('perl-onbuild:5', [], join(FIXTURES, 'onbuild/parent'))
    const printed = await build('perl', ['--build-arg', 'APP_VERSION=7'], join(FIXTURES, 'onbuild/child'))
    assert.match(printed, /needs POSIX/)
    const image = await pull('perl')
    assert.equal((await runToEnd(image)).stdout, 'yes\n')
    assert.equal((await runToEnd(image, ['level', 'other'])).code, 1)
    const files = await engine.docker([
      'run',
      '--rm',
      '--network=host',
      '--entrypoint=cat',
      image,
      '/app/VERSION',
      '/usr/share/licenses/LICENSE',
    ])
    assert.equal(files, '7\nDo as you like.\n')
  })
})

/** Whether a step was not executed, by how its instruction begins. */
function isCached(printed: string, instruction: string): boolean {
  const line = printed.split('\n').find(text => /^#\d+ \[/.test(text) && text.includes(`] ${instruction}`))
  assert.ok(line, `${instruction}\n${printed}`)
  return printed.includes(`\n${line.split(' ')[0]} CACHED`)
}
